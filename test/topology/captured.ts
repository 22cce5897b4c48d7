/** Real answers of real servers, as captured in fixtures/: sections that start with "=== name". */
import {readFileSync} from 'node:fs'

export const VERSIONS = ['redis-7.0', 'redis-8.0', 'redis-8.6', 'valkey-8.1', 'valkey-9.1'] as const

export function captured(version: (typeof VERSIONS)[number]): (name: string) => string {
  const text = readFileSync(new URL(`fixtures/${version}.txt`, import.meta.url), 'utf8')
  const sections = new Map(
    text
      .split(/^=== /m)
      .slice(1)
      .map((section) => [section.slice(0, section.indexOf('\n')), section.slice(section.indexOf('\n') + 1)]),
  )
  return (name) => {
    const section = sections.get(name)
    if (section === undefined) throw new Error(`${version} has no "${name}"`)
    return section
  }
}
