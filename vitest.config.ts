import {defineConfig} from 'vitest/config'
import {BaseSequencer, type TestSpecification} from 'vitest/node'

const shared = {disableConsoleIntercept: true, environment: 'node', pool: 'forks'} as const

/** They take minutes: begun last, one of them would keep a single worker busy at the end. */
const LONG = ['main-job', 'chaos', 'chaos-valkey', 'kill', 'forms', 'faults-refusals', 'fix', 'plans', 'interruptions']

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({moduleId}: TestSpecification): number => {
      const index = LONG.findIndex((name) => moduleId.endsWith(`/journeys/${name}.test.ts`))
      return index < 0 ? LONG.length : index
    }
    return (await super.sort(files)).sort((a, b) => place(a) - place(b))
  }
}

export default defineConfig({
  test: {
    sequence: {sequencer: LongestFirst},
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/contract/**', 'test/journeys/**', 'test/hostile/**'],
          testTimeout: 20_000,
          sequence: {groupOrder: 0},
        },
      },
      {
        test: {
          ...shared,
          name: 'servers',
          include: ['test/contract/**/*.test.ts', 'test/journeys/**/*.test.ts', 'test/hostile/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          // Two cores; a worker waits for servers' timeouts a third of its time.
          maxWorkers: 3,
          // Dozens of servers share the cores then: what only the load has upset passes the second time.
          retry: process.env['CI'] ? 1 : 0,
          sequence: {groupOrder: 1},
          globalSetup: ['test/support/global-setup.ts'],
        },
      },
    ],
  },
})
