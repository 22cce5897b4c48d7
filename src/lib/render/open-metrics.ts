/**
 * How are measurements written for Prometheus and its kin? The OpenMetrics text format, version 1.0
 * (https://prometheus.io/docs/specs/om/open_metrics_spec/).
 */

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
}

export interface MetricFamily {
  /** Ends with the unit, where there is one; of an info family without "_info". */
  readonly name: string
  readonly type: 'gauge' | 'info'
  readonly unit?: string
  readonly help: string
  readonly samples: readonly Sample[]
}

export const OPEN_METRICS_END = '# EOF'

/** Families without samples are left out. Without a line break at the end. */
export function renderOpenMetrics(families: readonly MetricFamily[]): string {
  const lines = families
    .filter(({samples}) => samples.length > 0)
    .flatMap(({name, type, unit, help, samples}) => [
      `# TYPE ${name} ${type}`,
      ...(unit === undefined ? [] : [`# UNIT ${name} ${unit}`]),
      `# HELP ${name} ${escapeText(help)}`,
      ...samples.map(({labels, value}) => `${name}${type === 'info' ? '_info' : ''}${formatLabels(labels)} ${value}`),
    ])
  return [...lines, OPEN_METRICS_END].join('\n')
}

function formatLabels(labels: Sample['labels'] = {}): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeText(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeText(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}
