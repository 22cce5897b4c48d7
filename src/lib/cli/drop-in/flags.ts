/**
 * The flags of all drop-in commands. Every one takes all of them, as redis-cli takes any --cluster option with any
 * subcommand. Values come from parse-argv, which has validated them.
 */
import * as Flags from '@oclif/core/flags'

/** One object each: oclif writes the flag's name into it. */
const given = () => Flags.boolean({default: false})

export const dropInFlags = {
  'stdin-last': given(),
  'stdin-tag': Flags.string(),
  replicas: Flags.integer({default: 0}),
  from: Flags.string({multiple: true, multipleNonGreedy: true, default: []}),
  to: Flags.string(),
  /** 0: not given. */
  slots: Flags.integer({default: 0}),
  'migrate-timeout': Flags.integer(),
  pipeline: Flags.integer(),
  threshold: Flags.custom<number>({parse: async (text) => Number(text)})({default: 2}),
  /** "NODE=1.5" */
  weight: Flags.string({multiple: true, multipleNonGreedy: true, default: []}),
  'use-empty': given(),
  replace: given(),
  copy: given(),
  replica: given(),
  'primary-id': Flags.string(),
  'search-multiple-owners': given(),
  'fix-with-unreachable': given(),
  'only-primaries': given(),
  'only-replicas': given(),
  'from-user': Flags.string(),
  'from-pass': Flags.string({noCacheDefault: true}),
  'from-askpass': given(),
  atomic: given(),
}
