/** In a page: posts the answer. The address says how to start, and where the report goes. */
import { answer } from './answer.mjs'

const parameters = new URL(location.href).searchParams
const report = await answer({ simd: parameters.get('simd') ?? 'strict' })
  .then((value) => ({ value }))
  .catch((error) => ({ error: `${error.code}: ${error.message}` }))
await fetch(parameters.get('report') ?? '/report', { method: 'POST', mode: 'no-cors', body: JSON.stringify(report) })
