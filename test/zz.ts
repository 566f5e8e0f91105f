import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { decodeJpeg } from '../src/io/jpeg.js'
for (const f of readdirSync('/tmp/filesv/jpegs').filter((f) => f.endsWith('.jpg')).sort()) {
  const b = decodeJpeg(readFileSync('/tmp/filesv/jpegs/' + f), f)
  writeFileSync('/tmp/filesv/jpegs/' + f + '.rgb', b.data)
}
