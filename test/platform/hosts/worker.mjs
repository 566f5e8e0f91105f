/** workerd: answers with the report. The module is imported, for it may not be compiled here. */
import module from 'core.wasm'
import { run } from 'program.js'

export default {
  async fetch(request) {
    try {
      const options = await request.json()
      return Response.json(await run({ ...options, module }))
    } catch (error) {
      return Response.json({ error: `${error.name}: ${error.message}` }, { status: 500 })
    }
  },
}
