/**
 * Which rules are there, what does each mean, and what mends what it finds? The one source: `check --rules` prints it, and
 * docs/rules.md is made of it. In mends SEED and NODE stand for addresses.
 */
import type {Finding, Severity} from './finding.ts'

export type RuleId = Finding['id']

/** What a rule goes by, beside what every node shows of the cluster. */
export type Source = 'info' | 'settings' | 'libraries' | 'users' | 'keys'

export interface Rule {
  /** A second one where the rule tells of less. */
  readonly severity: readonly Severity[]
  readonly title: string
  /** Why it matters. */
  readonly why: string
  readonly mend: string
  readonly needs?: Source
  /** What makes two findings of this rule the same one at different times; default: its nodes. */
  readonly identity?: readonly ('nodes' | 'slots' | 'subject')[]
}

export const RULE_BOOK: Readonly<Record<RuleId, Rule>> = {
  'unreachable-node': {
    severity: ['error'],
    title: 'A member does not answer',
    why: 'Its slots are not served, or its shard has a replica less. A node that is only out of our reach is told apart from one that is out of all reach.',
    mend: 'Start the server again; or name the address at which this machine reaches it: rcluster check SEED --seed NODE; or remove it: rcluster del-node SEED NODE',
  },
  'failed-node': {
    severity: ['error'],
    title: 'A node answers us, and is out for the others',
    why: 'A majority of the primaries has voted it down: a broken bus port, a firewall, or a node that just comes back. Clients are not sent to it.',
    mend: 'Let the other nodes reach its bus port',
  },
  'suspected-node': {
    severity: ['warning'],
    title: 'Some nodes cannot reach a node that answers us',
    why: 'When most primaries come to say so it is voted down, and a replica takes over.',
    mend: 'Let the other nodes reach its bus port',
  },
  'bus-link-down': {
    severity: ['warning'],
    title: 'A node has no link on the cluster bus to another',
    why: 'News of slots and failures comes to it in a roundabout way; after the node timeout it suspects the other.',
    mend: 'Let the node reach the bus port of the other',
  },
  'moved-node': {
    severity: ['error'],
    title: 'A node has another address than the others know',
    why: 'After a restart with new addresses nodes do not find one another by themselves. Their slots and keys are as they were.',
    mend: 'rcluster fix SEED --seed NODE',
    identity: [],
  },
  'membership-gap': {
    severity: ['error'],
    title: 'A node is unknown to some members',
    why: 'They do not send clients there, nor vote for it. A node that has just joined becomes known within seconds.',
    mend: 'Introduce it with CLUSTER MEET, or forget it everywhere: rcluster del-node SEED NODE',
  },
  handshake: {
    severity: ['warning'],
    title: 'A node was met, and nobody has answered there',
    why: 'A wrong address, a wrong bus port or a firewall. It ends by itself after the node timeout.',
    mend: 'rcluster forget SEED NODE',
    identity: ['subject'],
  },
  'ghost-node': {
    severity: ['warning'],
    title: 'A node ID that nobody knows an address for',
    why: 'It is gossiped on for ever, and tools count it as a dead member.',
    mend: 'rcluster forget SEED NODE',
  },
  'merged-clusters': {
    severity: ['error'],
    title: 'Two clusters are about to become one',
    why: 'Of two claims to a slot the higher epoch wins, and the other side throws its keys away.',
    mend: 'Cut the bus ports between the two, then make each side forget the other: rcluster forget SEED NODE',
  },
  'loading-node': {
    severity: ['warning'],
    title: 'A node is loading its data',
    why: 'It serves nothing until that is done.',
    mend: 'Wait: rcluster wait SEED --for healthy',
  },
  'cluster-down': {
    severity: ['error'],
    title: 'cluster_state is fail',
    why: 'The node refuses all keys, also those of slots that are served. A node that has just started or joined takes up to 5 s.',
    mend: 'See to the other findings first, then: rcluster wait SEED --for healthy',
  },
  'uncovered-slots': {
    severity: ['error'],
    title: 'Slots that nobody serves',
    why: 'Their keys cannot be read or written; with cluster-require-full-coverage no key can.',
    mend: 'Start their owner again, or let a replica take over: rcluster fix SEED --allow disruptive',
    identity: ['nodes', 'slots'],
  },
  disagreement: {
    severity: ['error'],
    title: 'Nodes disagree on who owns slots',
    why: 'Clients are sent to and fro, and keys may be written where they get lost. It says who claims the slots at which epoch, who wins, and whether waiting helps.',
    mend: 'Wait where that helps: rcluster wait SEED --for agreed; else: rcluster fix SEED',
    identity: ['nodes', 'slots'],
  },
  'open-slot': {
    severity: ['error'],
    title: 'A slot was left on its way',
    why: 'Its keys are on two nodes. Commands of several keys fail, and moves are refused.',
    mend: 'rcluster fix SEED, or the reshard that the finding names',
    identity: ['nodes', 'slots'],
  },
  'stale-mark': {
    severity: ['error'],
    title: 'A replica marks a slot as open that is closed',
    why: 'When it takes over the slot is open again, and its keys are looked for elsewhere.',
    mend: 'rcluster fix SEED',
    identity: ['nodes', 'slots'],
  },
  'orphan-keys': {
    severity: ['warning'],
    title: 'Keys of slots that their node does not own',
    why: 'No client finds them; they take memory, and come back to life when the slot comes to this node. Counted only with --deep: every slot of every primary is asked for.',
    mend: 'rcluster fix SEED --search-multiple-owners',
    needs: 'keys',
  },
  'epoch-collision': {
    severity: ['error'],
    title: 'Primaries share a config epoch',
    why: 'Two claims at one epoch cannot outdo each other: slots may go back to a former owner and lose their keys.',
    mend: 'Nodes settle this among themselves within seconds: rcluster wait SEED --for agreed',
    identity: ['nodes', 'subject'],
  },
  'fragmented-slots': {
    severity: ['note'],
    title: 'Slots lie in many ranges',
    why: 'The list of ranges is what every client reads, and what nodes write at every change. More than 16 ranges at one primary are told.',
    mend: 'rcluster rebalance SEED --defragment; --dry-run tells how much would move, --max-bytes bounds it',
    identity: [],
  },
  'replica-link-down': {
    severity: ['error'],
    title: 'A replica has no link to its primary',
    why: 'It falls behind, and what it does not have is lost when it takes over. CLUSTER NODES shows it as connected all the same.',
    mend: 'A first copy takes a while; else see the log of the replica: masterauth, or the network to its primary',
    needs: 'info',
  },
  'lagging-replica': {
    severity: ['warning'],
    title: 'A replica is behind',
    why: 'A failover to it loses what it does not have: nothing acknowledged for 10 s, nothing heard for 25 s, or 64 MB behind.',
    mend: 'Look at its load, its disk and its network: rcluster info SEED',
    needs: 'info',
  },
  'stray-replica': {
    severity: ['error'],
    title: 'A replica follows nobody, or no primary',
    why: 'No shard has it, and it never takes over.',
    mend: 'rcluster replicate NODE NODE',
  },
  'orphaned-primary': {
    severity: ['warning'],
    title: 'A primary without a replica, where others have some',
    why: 'It takes its keys along when it dies.',
    mend: 'rcluster add-node NEW SEED --replica --primary NODE',
  },
  'no-replicas': {
    severity: ['warning'],
    title: 'A cluster without replicas',
    why: 'Every primary takes its keys along when it dies.',
    mend: 'rcluster add-node NEW SEED --replica',
    identity: [],
  },
  'empty-primary': {
    severity: ['warning'],
    title: 'A primary without slots',
    why: 'It serves nothing: a node that was added and forgotten, or was to be removed.',
    mend: 'rcluster rebalance SEED --use-empty, or rcluster del-node SEED NODE',
  },
  'few-primaries': {
    severity: ['warning'],
    title: 'Fewer than three primaries own slots',
    why: 'Failovers need the votes of a majority of them, and of one or two none outlives a loss.',
    mend: 'rcluster add-node NEW SEED --rebalance',
    identity: [],
  },
  'replica-on-primary-host': {
    severity: ['warning'],
    title: 'A shard has all its members on one host',
    why: 'The host takes the keys along. Hosts are the addresses that nodes announce. Not told where all nodes are on one host.',
    mend: 'Let two replicas change places: rcluster replicate NODE NODE; or add one elsewhere: rcluster add-node NEW SEED --replica --primary NODE',
  },
  'replica-in-primary-zone': {
    severity: ['warning'],
    title: 'A shard has all its members in one zone',
    why: 'The zone takes the keys along. Zones are what --zone and --zones-file say, or Valkey tells as availability-zone.',
    mend: 'Let two replicas change places: rcluster replicate NODE NODE; or add one elsewhere: rcluster add-node NEW SEED --replica --primary NODE',
    needs: 'info',
  },
  'quorum-on-one-host': {
    severity: ['warning', 'note'],
    title: 'Most primaries are on one host',
    why: 'When it is lost the others are no majority, and no replica takes over. A note where all nodes are on one host: then it is meant.',
    mend: 'rcluster failover NODE, of replicas elsewhere',
    identity: ['subject'],
  },
  'quorum-in-one-zone': {
    severity: ['warning', 'note'],
    title: 'Most primaries are in one zone',
    why: 'When it is lost the others are no majority, and no replica takes over. A note where all nodes are in one zone.',
    mend: 'rcluster failover NODE, of replicas elsewhere',
    needs: 'info',
    identity: ['subject'],
  },
  'mixed-versions': {
    severity: ['warning'],
    title: 'Nodes run different versions',
    why: 'Keys do not go to a server that does not read the newer dump format, and a replica may not read its primary.',
    mend: 'Upgrade the older ones, replicas first',
    needs: 'info',
    identity: ['subject'],
  },
  'node-timeout-drift': {
    severity: ['warning'],
    title: 'cluster-node-timeout differs',
    why: 'Nodes judge one another by different clocks: some vote others down while the rest still wait.',
    mend: 'rcluster set-timeout SEED MS',
    needs: 'settings',
    identity: ['nodes', 'subject'],
  },
  'config-drift': {
    severity: ['warning'],
    title: 'A setting differs that should be alike',
    why: 'After a failover or a move keys are under other rules: memory, eviction, coverage, needed replicas, TLS.',
    mend: 'rcluster config set SEED SETTING VALUE --rewrite',
    needs: 'settings',
    identity: ['nodes', 'subject'],
  },
  'function-drift': {
    severity: ['warning'],
    title: 'A function library is not the same everywhere',
    why: 'FCALL fails, or does something else, depending on the key. Compared by a digest of the code.',
    mend: 'rcluster functions sync SEED',
    needs: 'libraries',
    identity: ['nodes', 'subject'],
  },
  'acl-drift': {
    severity: ['warning'],
    title: 'A user is not the same everywhere',
    why: 'Clients get NOPERM or WRONGPASS from some nodes, or rights that were taken from them at others. Rules and passwords are compared as digests that are good for one run; none is shown or kept.',
    mend: 'rcluster acl set SEED USER --from NODE --save',
    needs: 'users',
    identity: ['nodes', 'subject'],
  },
  'module-drift': {
    severity: ['warning'],
    title: 'A module is missing on some nodes, or another version',
    why: 'Its values cannot go where it is missing, nor be replicated there.',
    mend: 'loadmodule in the configuration file of each node, then restart it',
    needs: 'info',
    identity: ['nodes', 'subject'],
  },
  'memory-near-limit': {
    severity: ['warning'],
    title: 'A node uses 90 % of its maxmemory or more',
    why: 'At the limit writes are refused, and slots cannot come. Not told where any key may be evicted (allkeys-*): such a node is meant to be full.',
    mend: 'rcluster call SEED -- CONFIG SET maxmemory BYTES, or rcluster rebalance SEED',
    needs: 'info',
  },
  'persistence-off': {
    severity: ['warning', 'note'],
    title: 'A shard writes its keys to no disk',
    why: 'A primary that restarts comes back empty, and its replicas throw theirs away. A note where that is so of all shards: then it is meant.',
    mend: 'rcluster config set SEED appendonly yes --rewrite',
    needs: 'settings',
    identity: ['subject'],
  },
  'persistence-failing': {
    severity: ['warning'],
    title: 'A node failed to write its data to disk',
    why: 'What it holds is not on disk, and with stop-writes-on-bgsave-error it refuses writes.',
    mend: 'See its log, the space on its disk, and whether it may fork',
    needs: 'info',
  },
}

export const RULE_IDS = Object.keys(RULE_BOOK) as readonly RuleId[]

export function isRuleId(word: string): word is RuleId {
  return Object.hasOwn(RULE_BOOK, word)
}
