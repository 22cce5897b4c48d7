/** What do the files in examples/ say? For tests that hold them to the truth. */
import {readFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'

export function examplePath(name: string): string {
  return fileURLToPath(new URL(`../../examples/${name}`, import.meta.url))
}

export function readExample(name: string): string {
  return readFileSync(examplePath(name), 'utf8')
}

/** The words after "rcluster" of each command that the reader is to type, in order: lines of the code blocks. */
export function commandsIn(markdown: string): string[][] {
  const blocks = [...markdown.matchAll(/^```(?:sh|console)\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block)
  const lines = blocks.flatMap((block) => block.replace(/ *\\\n\s*/g, ' ').split('\n'))
  return lines.flatMap((line) => {
    const [, words] = /^(?:\$ )?rcluster (.*?)(?: {2,}#.*)?$/.exec(line) ?? []
    return words === undefined ? [] : [wordsOf(words)]
  })
}

/** As a shell takes them: what stands in quotes is one. */
function wordsOf(line: string): string[] {
  return (line.match(/(?:"[^"]*"|'[^']*'|\S)+/g) ?? []).map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, '$1$2'))
}

/** A server's configuration file, without the folder, which each test has its own of. */
export function settingsIn(conf: string): Record<string, string> {
  const lines = conf.split('\n').map((line) => line.trim())
  const settings = lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const)
  return Object.fromEntries(settings.filter(([name]) => name !== 'dir'))
}
