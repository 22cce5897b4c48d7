/** What does a round say where there is no screen? One line of numbers, and what came, went and happened. */
import {formatAddress, type NodeId} from '../topology/model.ts'
import {cameNow, type Picture, wentNow} from '../watch/picture.ts'
import {formatDuration} from './amounts.ts'
import {clean} from './clean.ts'
import type {Style} from './colour.ts'
import {clockTime, flowParts, summaryParts} from './watch-frame.ts'

export function renderRound(picture: Picture, style: Style): string {
  const {round, flows, news} = picture
  const time = clockTime(round.atMs)
  const place = (id: NodeId): string => {
    const node = round.topology.nodesById.get(id)
    return node ? clean(formatAddress(node.address)) : id.slice(0, 8)
  }
  const {chalk} = style
  const arrow = style.isUnicode ? '→' : '->'
  return [
    `${time} ${round.lost === undefined ? '' : `no node answers: ${clean(round.lost)}; `}${summaryParts(picture, style).join(', ')}`,
    ...flows.map((flow) => `${time}   ${place(flow.from)} ${arrow} ${place(flow.to)}: ${flowParts(flow).join(', ')}`),
    ...news.map(({text}) => `${time} * ${clean(text)}`),
    ...cameNow(picture).map(({finding: {severity, message, id}, isExpected}) => {
      const word = isExpected ? 'moving' : severity
      return `${time} + ${severity === 'error' && !isExpected ? chalk.red(word) : chalk.yellow(word)} ${clean(message)} [${id}]`
    }),
    ...wentNow(picture).map(
      ({finding: {message, id}, sinceMs, goneMs}) =>
        `${time} - gone after ${formatDuration(goneMs - sinceMs)}: ${clean(message)} [${id}]`,
    ),
  ].join('\n')
}
