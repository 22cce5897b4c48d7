/**
 * How are positional words read? As they stand: what they mean is asked in `run`, when unknown flags have been refused
 * (a mistyped --password must not turn its value into a bad argument that an error repeats).
 */
import * as Args from '@oclif/core/args'

/** Never read from stdin, which oclif would do for a missing word: it would eat a script's input. */
export const word = Args.custom<string>({ignoreStdin: true})
