/** What stands in the way of a plan, and what is worth knowing before it? Said all at once, not one thing a try. Pure. */
import {RefusedError} from '../errors.ts'

export interface Obstacle {
  readonly about: 'route' | 'databases' | 'memory' | 'payloads' | 'replicas' | 'rights'
  readonly message: string
  /** The way out. */
  readonly suggestions: readonly string[]
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

export interface Verdict {
  readonly obstacles: readonly Obstacle[]
  readonly warnings: readonly string[]
  /** Set: keys may go, for this reason. */
  readonly lossReason?: string | undefined
}

export const NOTHING_TO_SAY: Verdict = {obstacles: [], warnings: []}

/** In the order given, each thing once. */
export function joinVerdicts(verdicts: readonly Verdict[]): Verdict {
  const obstacles = new Map(verdicts.flatMap((one) => one.obstacles.map((obstacle) => [obstacle.message, obstacle])))
  return {
    obstacles: [...obstacles.values()],
    warnings: [...new Set(verdicts.flatMap(({warnings}) => warnings))],
    lossReason: verdicts.find(({lossReason}) => lossReason !== undefined)?.lossReason,
  }
}

/** What a message names; the others are among `details`. */
const NAMED = 6

/** @throws RefusedError 'target-unfit' that names every obstacle, and every way out. */
export function refuseObstacles({obstacles}: Verdict): void {
  const [first] = obstacles
  if (!first) return
  const named = obstacles.slice(0, NAMED).map(({message}) => message)
  const more = obstacles.length > NAMED ? `; and ${obstacles.length - NAMED} more` : ''
  const count = obstacles.length === 1 ? '' : `${obstacles.length} things stand in the way: `
  throw new RefusedError('target-unfit', `${count}${named.join('; ')}${more}`, {
    details: {
      ...first.details,
      obstacles: obstacles.map(({about, message, details}) => ({about, message, ...details})),
    },
    suggestions: [...new Set(obstacles.flatMap(({suggestions}) => suggestions))],
    cause: first.cause,
  })
}
