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
          exclude: ['test/contract/**', 'test/journeys/**'],
          testTimeout: 20_000,
          sequence: {groupOrder: 0},
        },
      },
      {
        test: {
          ...shared,
          name: 'servers',
          include: ['test/contract/**/*.test.ts', 'test/journeys/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: {groupOrder: 1},
          globalSetup: ['test/support/global-setup.ts'],
        },
      },
    ],
  },
})
