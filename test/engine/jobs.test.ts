import {expect, it} from 'vitest'
import {formJobs} from '../../src/lib/engine/jobs.ts'

const moves = (count: number): {slot: number; from: string; to: string}[] =>
  Array.from({length: count}, (_, slot) => ({slot, from: 'a', to: 'b'}))
const keysEach = (count: number, keys: number): Map<number, number> =>
  new Map(Array.from({length: count}, (_, slot) => [slot, keys]))

it.each([
  {name: 'empty slots are one job', slots: 16_384, keys: 0, jobs: [16_384]},
  {name: 'what fits is one job', slots: 200, keys: 1000, jobs: [200]},
  {name: 'jobs are alike', slots: 300, keys: 1000, jobs: [150, 150]},
  {name: 'a slot of more keys than a job should have is one', slots: 3, keys: 500_000, jobs: [1, 1, 1]},
  {name: 'many slots are several jobs, since each costs time', slots: 2730, keys: 60, jobs: Array(6).fill(455)},
  // 64 forks at the most.
  {name: 'there are few of them, however many keys', slots: 6400, keys: 10_000, jobs: Array(64).fill(100)},
])('$name', ({slots, keys, jobs}) => {
  const formed = formJobs(moves(slots), keysEach(slots, keys))
  expect(formed.map((job) => job.slots.length)).toEqual(jobs)
  expect(formed.flatMap((job) => job.slots)).toEqual(moves(slots).map(({slot}) => slot))
  expect(formed.reduce((sum, job) => sum + job.keys, 0)).toBe(slots * keys)
})

it('forms none of nothing', () => {
  expect(formJobs([], new Map())).toEqual([])
})
