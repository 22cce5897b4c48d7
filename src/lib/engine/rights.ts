/**
 * Which ACL rights does each command of rcluster need, on every node? The one table: `rcluster acl` prints it, the preflight
 * asks for what it says of moves, and test/journeys/acl.test.ts holds it against what servers count. A new command of the
 * engine goes in here, or that test fails.
 */

/** Servers that need, or know, different words. */
export const SERVER_FAMILIES = ['redis-6.2', 'redis-7.0', 'redis-8.4', 'valkey-7.2', 'valkey-9.0'] as const
export type ServerFamily = (typeof SERVER_FAMILIES)[number]

export interface Right {
  /** As ACL SETUSER takes it: "+cluster|setslot", or "~*". */
  readonly word: string
  /** Set: the command works without it, but for this. */
  readonly isOnlyFor?: string
  /** Set: seldom, but then the command fails without it. */
  readonly when?: string
  /** Absent: all families know it. */
  readonly families?: readonly ServerFamily[]
}

const WITH_FUNCTIONS: readonly ServerFamily[] = ['redis-7.0', 'redis-8.4', 'valkey-7.2', 'valkey-9.0']
const PULL: readonly ServerFamily[] = ['redis-8.4']
const PUSH: readonly ServerFamily[] = ['valkey-9.0']

function needed(words: string, families?: readonly ServerFamily[]): Right[] {
  return words.split(' ').map((word) => ({word, ...(families ? {families} : {})}))
}

function only(isOnlyFor: string, words: string, families?: readonly ServerFamily[]): Right[] {
  return needed(words, families).map((right) => ({...right, isOnlyFor}))
}

function seldom(when: string, words: string): Right[] {
  return needed(words).map((right) => ({...right, when}))
}

/** Whatever is asked of a cluster begins so. */
const LOOK: readonly Right[] = [
  ...needed('+cluster|myid +cluster|nodes +cluster|info +info'),
  ...only('finding the addresses behind port mappings', '+client|info'),
]

const LOCK: readonly Right[] = [
  ...only('the lock between operators', '+client|setname +client|list'),
  ...only('--take-lock', '+client|kill'),
]

/** Of our user, at both ends of each move; the target is told the same login for MIGRATE, hence the last two. */
const MOVE: readonly Right[] = [
  ...LOCK,
  ...needed('~* +cluster|setslot +cluster|countkeysinslot +cluster|getkeysinslot +memory|usage'),
  ...needed('+migrate +restore-asking +select'),
  ...seldom('the ends of a move share a config epoch', '+cluster|bumpepoch'),
  ...seldom('a run that was cut off left keys on both sides', '+dump +pttl +asking +del'),
  ...only('how long big keys hold up their node, by type', '+type'),
  ...only('giving way when a node answers its clients late', '+ping'),
  ...only(
    'keeping an emptied primary from following another; ports with TLS beside plain ones; cluster-databases and node timeouts',
    '+config|get +config|set',
  ),
  ...only('missing rights that are found before anything is changed', '+acl|dryrun', WITH_FUNCTIONS),
  ...only('whether other versions understand the values', '+function|dump +function|restore', WITH_FUNCTIONS),
  ...only('asking whether the servers move slots by themselves', '+command|info', WITH_FUNCTIONS),
  ...only('slots that the servers move by themselves', '+cluster|migration', PULL),
  ...only(
    'slots that the servers move by themselves',
    '+cluster|migrateslots +cluster|getslotmigrations +cluster|cancelslotmigrations',
    PUSH,
  ),
]

function moveOnlyFor(flag: string): Right[] {
  return MOVE.map(({when: _, ...right}) => ({...right, isOnlyFor: right.isOnlyFor ?? flag}))
}

/** Families of which every server has CLUSTER SLOT-STATS: others refuse a rule with it. */
const STATS: readonly ServerFamily[] = ['redis-8.4', 'valkey-9.0']

const JOIN_QUICKLY = only(
  'joining, and following another primary, in less than five seconds',
  '+config|get +config|set',
)

const CHECK: readonly Right[] = [
  ...LOOK,
  ...only('rules about settings, timeouts and persistence', '+config|get'),
  ...only('the rule about functions', '+function|list', WITH_FUNCTIONS),
  ...only('the rule about users', '+acl|list'),
  ...only('--deep', '+cluster|countkeysinslot'),
  ...only('--deep, where there are several databases', '+select'),
]

const SAVE_USERS = only('--save', '+acl|save +config|rewrite')

/** By the name of the command. */
export const RIGHTS: Readonly<Record<string, readonly Right[]>> = {
  check: CHECK,
  clients: [...LOOK, ...needed('+cluster|slots')],
  info: [
    ...LOOK,
    ...only('--heat, of what the servers measure', '+cluster|slot-stats', STATS),
    ...only('--heat keys and memory, where the servers do not measure them', '+cluster|countkeysinslot +select'),
    ...only('--heat memory, where the servers do not measure it', '~* +cluster|getkeysinslot +memory|usage'),
  ],
  'explain slot': [
    ...LOOK,
    ...only('how many keys of the slot are where', '+cluster|countkeysinslot +select'),
    ...only('telling who is at work on an open slot', '+client|list'),
  ],
  wait: LOOK,
  watch: [
    ...LOOK,
    ...only('how many keys are left in open slots', '+cluster|countkeysinslot'),
    ...only('who is at work', '+client|list'),
    ...only('slots that the servers move by themselves', '+command|info', WITH_FUNCTIONS),
    ...only('slots that the servers move by themselves', '+cluster|migration', PULL),
    ...only('slots that the servers move by themselves', '+cluster|getslotmigrations', PUSH),
  ],
  call: LOOK,
  create: [
    ...LOOK,
    ...LOCK,
    ...needed('+cluster|addslots +cluster|set-config-epoch +cluster|meet +cluster|setslot'),
    ...only('--replicas', '+cluster|replicate +ping'),
    ...only('nodes that were removed from a cluster a moment ago', '+cluster|reset'),
    ...only('--announce', '+config|get +config|set +config|rewrite +cluster|slots'),
    ...JOIN_QUICKLY,
  ],
  'add-node': [
    ...LOOK,
    ...LOCK,
    ...needed('+cluster|meet +cluster|set-config-epoch'),
    ...needed('+function|list', WITH_FUNCTIONS),
    ...only('clusters with functions', '+function|dump +function|restore', WITH_FUNCTIONS),
    ...only('--replica', '+cluster|replicate +ping'),
    ...only('nodes that were removed from a cluster a moment ago', '+cluster|reset'),
    ...JOIN_QUICKLY,
    ...moveOnlyFor('--rebalance'),
  ],
  reshard: [...LOOK, ...MOVE],
  rebalance: [
    ...LOOK,
    ...MOVE,
    ...only('--replicas', '+cluster|replicate +ping'),
    ...only('--primaries', '+cluster|failover'),
    ...only('--by and --max-bytes, of what the servers measure', '+cluster|slot-stats', STATS),
  ],
  apply: [
    ...LOOK,
    ...LOCK,
    ...MOVE,
    ...only('plans of other commands: see there', '+cluster|meet +cluster|forget +cluster|reset +cluster|replicate'),
    ...only('clusters that a file declares: see create', '+cluster|addslots +cluster|set-config-epoch'),
    ...only('settings that a file declares', '+config|get +config|set +config|rewrite'),
    ...only('users that a file declares', '+command +acl|list +acl|setuser +acl|deluser +acl|save'),
    ...only('functions that a file declares', '+function|list +function|dump +function|restore'),
  ],
  'del-node': [
    ...LOOK,
    ...LOCK,
    ...needed('+cluster|forget +cluster|reset'),
    ...seldom('the node that leaves has replicas', '+cluster|replicate'),
    ...only('waiting for a node that is busy', '+ping'),
    ...only('telling whether clients are still at the node', '+client|list'),
    ...moveOnlyFor('--drain'),
  ],
  forget: [...LOOK, ...LOCK, ...needed('+cluster|forget')],
  failover: [
    ...LOOK,
    ...LOCK,
    ...needed('+cluster|failover'),
    ...only('waiting for a node that is busy', '+ping'),
    ...JOIN_QUICKLY,
  ],
  replicate: [
    ...LOOK,
    ...LOCK,
    ...needed('+cluster|replicate'),
    ...only('waiting for a node that is busy', '+ping'),
    ...JOIN_QUICKLY,
  ],
  roll: [
    ...LOOK,
    ...LOCK,
    ...needed('+cluster|failover'),
    ...only('--allow-unserved: whether the node writes its keys to a file', '+config|get'),
  ],
  'config diff': [...LOOK, ...needed('+config|get')],
  'config set': [...LOOK, ...LOCK, ...needed('+config|get +config|set'), ...only('--rewrite', '+config|rewrite')],
  'acl list': [...LOOK, ...needed('+acl|list')],
  'acl set': [...LOOK, ...LOCK, ...needed('+acl|setuser +acl|list'), ...SAVE_USERS],
  'acl delete': [...LOOK, ...LOCK, ...needed('+acl|deluser +acl|list'), ...SAVE_USERS],
  'functions list': [...LOOK, ...needed('+function|list', WITH_FUNCTIONS)],
  'functions sync': [...LOOK, ...LOCK, ...needed('+function|list +function|dump +function|restore', WITH_FUNCTIONS)],
  snapshot: LOOK,
  diff: LOOK,
  'replace-node': [
    ...LOOK,
    ...LOCK,
    ...needed(
      '+cluster|meet +cluster|set-config-epoch +cluster|replicate +cluster|failover +cluster|forget +cluster|reset',
    ),
    ...needed('+function|list', WITH_FUNCTIONS),
    ...only('clusters with functions', '+function|dump +function|restore', WITH_FUNCTIONS),
    ...only('waiting for a node that is busy', '+ping'),
    ...only('telling whether clients are still at the node', '+client|list'),
    ...JOIN_QUICKLY,
  ],
  'set-timeout': [
    ...LOOK,
    ...LOCK,
    ...needed('+config|get +config|set'),
    ...only('a setting that outlives a restart', '+config|rewrite'),
  ],
  fix: [
    ...LOOK,
    ...MOVE,
    ...seldom('nobody owns a slot, or several do', '+cluster|addslots +cluster|delslots'),
    ...seldom('a replica takes over', '+cluster|failover'),
  ],
  heal: [
    ...LOOK,
    ...LOCK,
    ...needed('+cluster|countkeysinslot +cluster|setslot +cluster|bumpepoch'),
    ...seldom('replicas of others answer, and are to know at once', '+cluster|meet'),
    ...only('whether a node has several databases', '+config|get'),
    ...only('keys that servers do not show', '+command|info', WITH_FUNCTIONS),
  ],
  import: [
    ...LOOK,
    ...needed('~* +restore +time'),
    ...seldom('the cluster has a key already, and --verify', '+dump +pttl'),
    ...only('lives of keys, to the millisecond', '+pexpiretime', WITH_FUNCTIONS),
    ...seldom('there are several databases', '+select'),
    ...only('asking for the number of databases, which is found out without it too', '+config|get'),
    ...only('comparing large or re-encoded values', '+@read'),
  ],
  backup: [
    ...LOOK,
    ...needed('+psync +replconf'),
    ...needed('+function|list', WITH_FUNCTIONS),
    ...only('function libraries, where there are any', '+function|dump', WITH_FUNCTIONS),
    ...only('users; without it --no-acl is needed', '+acl|list'),
    ...only('noticing that servers move slots meanwhile', '+command|info', WITH_FUNCTIONS),
    ...only('noticing that servers move slots meanwhile', '+cluster|migration', PULL),
    ...only('noticing that servers move slots meanwhile', '+cluster|getslotmigrations', PUSH),
    ...only('waiting for a node that is busy', '+ping'),
  ],
  restore: [
    ...LOOK,
    ...LOCK,
    ...needed('~* +restore'),
    ...seldom('keys have a limited life', '+time'),
    ...only('keys that are there already, and --verify', '+dump +pttl +asking'),
    ...seldom('there are several databases', '+select'),
    ...only('asking for the number of databases, which is found out without it too', '+config|get'),
    ...only(
      'function libraries, and telling whether the versions fit',
      '+function|list +function|dump +function|restore',
      WITH_FUNCTIONS,
    ),
    ...only('--with-acl', '+acl|setuser'),
  ],
}

/**
 * Of the user that Valkey's nodes log in with at one another (primaryuser), at the target of slots that they move by
 * themselves: the source's writes are repeated there in its name. Redis's nodes know each other by a secret of the cluster.
 */
export const SERVER_MOVE: readonly Right[] = needed('~* +cluster|syncslots +select +@write', PUSH)

/** Of a user of its own for the keys that nodes send each other with MIGRATE, at their target. Ours needs the last no more. */
export const BROUGHT: readonly Right[] = needed('~* +select +restore-asking')

/**
 * Rights of several commands together: what one of them needs is needed. In the order of the table, each word once; keys
 * come last.
 */
export function uniteRights(commands: readonly string[]): readonly Right[] {
  const united = new Map<string, Right>()
  for (const right of commands.flatMap((command) => RIGHTS[command] ?? [])) {
    const before = united.get(right.word)
    united.set(right.word, before ? unite(before, right) : right)
  }
  const rights = [...united.values()]
  const isKeys = ({word}: Right): boolean => word.startsWith('~')
  return [...rights.filter((right) => !isKeys(right)), ...rights.filter(isKeys)]
}

function unite(a: Right, b: Right): Right {
  const families = a.families && b.families && [...new Set([...a.families, ...b.families])]
  const known = {word: a.word, ...(families ? {families} : {})}
  const isOptional = a.isOnlyFor !== undefined && b.isOnlyFor !== undefined
  if (isOptional) return {...known, isOnlyFor: bothOf(a.isOnlyFor, b.isOnlyFor)}
  const needs = [a, b].filter(({isOnlyFor}) => isOnlyFor === undefined).map(({when}) => when)
  const [when, other] = needs
  if (needs.includes(undefined) || when === undefined) return known
  return {...known, when: other === undefined ? when : bothOf(when, other)}
}

function bothOf(a: string, b: string): string {
  return a.split('; ').includes(b) ? a : `${a}; ${b}`
}

export function isKnownTo({families}: Right, family: ServerFamily): boolean {
  return families?.includes(family) ?? true
}

/**
 * The line that makes a user one that may do just this. Channels: rcluster uses none. `password` is a stand-in, never a
 * secret.
 */
export function ruleLine(user: string, words: readonly string[]): string {
  return ['ACL SETUSER', user, 'on', '>PASSWORD', 'resetchannels', ...words].join(' ')
}
