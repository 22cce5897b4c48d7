/** How do our tables look? cli-table3 with our colours and the terminal's characters. */
import Table from 'cli-table3'
import type {Style} from './colour.ts'

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

const NOTHING = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  right: '',
  middle: '  ',
}

/** Head, a rule, rows; cells are cleaned by who makes them. Lines have no trailing blanks. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[], style: Style): string {
  const rule = style.isUnicode ? '─' : '-'
  const table = new Table({
    head: columns.map(({title}) => style.chalk.bold(title)),
    colAligns: columns.map(({align}) => align ?? 'left'),
    chars: {...NOTHING, mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': ''},
    // cli-table3 colours heads and borders by itself, into a pipe too, unless told not to.
    style: {head: [], border: [], 'padding-left': 0, 'padding-right': 0},
  })
  table.push(...rows.map((row) => [...row]))
  const [head = '', ...body] = table.toString().split('\n')
  const width = Math.max(...[head, ...body].map((line) => visibleLength(line.trimEnd())))
  return [head, style.chalk.dim(rule.repeat(width)), ...body].map((line) => line.trimEnd()).join('\n')
}

/** Without the colour codes. */
export function visibleLength(text: string): number {
  return text.replace(/\u001b\[[0-9;]*m/g, '').length
}
