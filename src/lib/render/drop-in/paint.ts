/** Which colour has a line of the drop-in form? redis-cli's, by how the line begins. */
import {Chalk, type ChalkInstance} from 'chalk'

/** Only on a terminal that calls itself an xterm; redis-cli colours pipes as well, which scripts do not want. */
export function dropInChalk(
  stream: {readonly isTTY?: boolean | undefined},
  env: Readonly<Record<string, string | undefined>>,
): ChalkInstance {
  const isColoured = stream.isTTY === true && (env['TERM'] ?? '').includes('xterm') && !env['NO_COLOR']
  return new Chalk({level: isColoured ? 1 : 0})
}

export function paint(line: string, chalk: ChalkInstance): string {
  if (line.startsWith('[OK]')) return chalk.green.bold(line)
  if (line.startsWith('[ERR]')) return chalk.red.bold(line)
  if (line.startsWith('[WARNING]') || line.startsWith('***')) return chalk.yellow.bold(line)
  if (line.startsWith('>>>')) return chalk.bold(line)
  return line
}
