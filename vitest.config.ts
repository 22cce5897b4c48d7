import {defineConfig} from 'vitest/config'

const shared = {disableConsoleIntercept: true, environment: 'node', pool: 'forks'} as const

export default defineConfig({
  test: {
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
