/** What is wrong with RDB data? The one error of this room: whatever bytes come in, nothing else is thrown. */

export class RdbError extends Error {
  override readonly name = 'RdbError'
  /** How many bytes lie before what is wrong. */
  readonly offset: number

  constructor(offset: number, message: string) {
    super(`${message} (at byte ${offset})`)
    this.offset = offset
  }
}
