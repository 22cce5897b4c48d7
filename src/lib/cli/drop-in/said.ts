/** A failure of the drop-in form that is told in words of redis-cli's, as they stand. */
import {ClusterError} from '../../errors.ts'

export class SaidFailure extends ClusterError {
  readonly stream: 'stdout' | 'stderr'

  /** `text`: whole lines, as they are to be printed. redis-cli writes most of them to stdout. */
  constructor(text: string, stream: 'stdout' | 'stderr' = 'stdout') {
    super('E_REFUSED', 1, text)
    this.stream = stream
  }
}
