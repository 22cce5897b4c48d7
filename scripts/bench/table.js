// How does a table look? Markdown with aligned columns: as readable on a terminal as in a README.

export function renderTable(header, lines) {
  const widths = header.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column].length), 3))
  const toRow = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
  return [toRow(header), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...lines.map(toRow)].join('\n')
}
