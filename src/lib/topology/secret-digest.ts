/** Are two secrets the same? Their digests are equal within this run, and of no use to who comes to see them. */
import {createHmac, randomBytes} from 'node:crypto'

/** Of this process, and nowhere else. */
const KEY = randomBytes(32)

export function digestSecret(secret: string): string {
  return createHmac('sha256', KEY).update(secret).digest('hex').slice(0, 32)
}
