/** Browsers: posts the report to the server. */
import { run } from './program.js'

const options = JSON.parse(new URL(location.href).searchParams.get('options'))
let report
try {
  report = { value: await run(options) }
} catch (error) {
  report = { error: `${error.name}: ${error.message}` }
}
await fetch('/report', { method: 'POST', body: JSON.stringify(report) })
