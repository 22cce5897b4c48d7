// A reporter for scripts/test.js: vitest's JSON does not tell of errors outside of any test.
import {writeFileSync} from 'node:fs'

export default class CountErrorsOutside {
  onTestRunEnd(_modules, errors) {
    writeFileSync(process.env['RCLUSTER_ERRORS_OUTSIDE'], String(errors.length))
  }
}
