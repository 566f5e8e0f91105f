/** Node, Deno and Bun: prints the report. */
import { run } from './program.js'

const versions = globalThis.process.versions
const report = await run(JSON.parse(globalThis.process.argv[2]))
console.log(JSON.stringify({ ...report, version: versions.deno ?? versions.bun ?? versions.node }))
