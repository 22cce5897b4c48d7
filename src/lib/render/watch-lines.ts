/** What does a round say where there is no screen? One line of numbers, and what came, went and happened. */
import {formatAddress, type NodeId} from '../topology/model.ts'
import {cameNow, type Picture, wentNow} from '../watch/picture.ts'
import {formatDuration} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {clockTime, flowParts, summaryParts} from './watch-frame.ts'

/** Of each sort in one round: when a large cluster is cut off, every node is a finding. */
const MOST_LINES = 40

export function renderRound(picture: Picture, style: Style): string {
  const {round, flows, news} = picture
  const time = clockTime(round.atMs)
  const place = (id: NodeId): string => {
    const node = round.topology.nodesById.get(id)
    return node ? clean(formatAddress(node.address)) : id.slice(0, 8)
  }
  const {chalk} = style
  const arrow = style.isUnicode ? '→' : '->'
  const came = cameNow(picture).map(({finding: {severity, message, id}, isExpected}) => {
    const word = isExpected ? chalk.cyan('moving') : severity === 'error' ? chalk.red('error') : chalk.yellow('warning')
    return `${time} + ${word} ${clean(message)} [${id}]`
  })
  const went = wentNow(picture).map(
    ({finding: {message, id}, sinceMs, goneMs}) =>
      `${time} - gone after ${formatDuration(goneMs - sinceMs)}: ${clean(message)} [${id}]`,
  )
  const lost = round.lost === undefined ? '' : `no node answers: ${clean(round.lost)}; `
  return [
    `${time} ${lost}${summaryParts(picture, style).join(', ')}`,
    ...flows.map((flow) => `${time}   ${place(flow.from)} ${arrow} ${place(flow.to)}: ${flowParts(flow).join(', ')}`),
    ...few(
      `${time} *`,
      news.map(({text}) => `${time} * ${clean(text)}`),
    ),
    ...few(`${time} +`, came),
    ...few(`${time} -`, went),
  ].join('\n')
}

function few(mark: string, lines: readonly string[]): string[] {
  return lines.length <= MOST_LINES
    ? [...lines]
    : [...lines.slice(0, MOST_LINES), `${mark} and ${lines.length - MOST_LINES} more`]
}
