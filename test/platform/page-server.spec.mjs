/** The server of examples/browser, asked for what is none of its business. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { isolation, pageServer } from '../../examples/browser/serve.mjs'

const folder = mkdtempSync(join(tmpdir(), 'toeplitz-page-'))
const root = join(folder, 'root')
const large = Buffer.alloc(8 * 2 ** 20, 'large ')
let server

beforeAll(async () => {
  mkdirSync(join(root, 'folder'), { recursive: true })
  writeFileSync(join(folder, 'secret.txt'), 'secret')
  mkdirSync(join(folder, 'rootless'))
  writeFileSync(join(folder, 'rootless/secret.txt'), 'secret')
  writeFileSync(join(root, 'index.html'), 'the page')
  writeFileSync(join(root, 'empty.js'), '')
  writeFileSync(join(root, 'large.bin'), large)
  writeFileSync(join(root, 'with space.js'), 'spaced')
  symlinkSync('../secret.txt', join(root, 'out.txt'))
  symlinkSync('..', join(root, 'up'))
  symlinkSync('index.html', join(root, 'in.html'))
  symlinkSync('round', join(root, 'round'))
  execFileSync('mkfifo', [join(root, 'pipe')])
  server = pageServer(root)
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Asks for a path as it is written, which fetch would not. */
function ask(path, { method = 'GET', body } = {}) {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: server.address().port, path, method, agent: false })
    asked.on('error', reject)
    asked.on('response', (response) => {
      const parts = []
      response.on('data', (part) => parts.push(part))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }),
      )
    })
    asked.end(body)
  })
}

it.each([
  ['/', 'the page', 'text/html; charset=utf-8'],
  ['/index.html?x=1', 'the page', 'text/html; charset=utf-8'],
  ['//elsewhere/index.html', 'the page', 'text/html; charset=utf-8'],
  ['/folder/../index.html', 'the page', 'text/html; charset=utf-8'],
  ['/in.html', 'the page', 'text/html; charset=utf-8'],
  ['/empty.js', '', 'text/javascript; charset=utf-8'],
  ['/with%20space.js', 'spaced', 'text/javascript; charset=utf-8'],
])('answers %s', async (path, text, type) => {
  const { status, headers, body } = await ask(path)
  expect({ status, body: body.toString() }).toEqual({ status: 200, body: text })
  expect(headers).toMatchObject({ 'content-type': type, 'content-length': String(text.length) })
  for (const [name, value] of Object.entries(isolation)) expect(headers[name.toLowerCase()]).toBe(value)
})

it.each([
  ['/nothing', 404],
  ['/folder', 404],
  ['/folder/', 404],
  ['/index.html/', 404],
  ['/../secret.txt', 404],
  ['/..%2fsecret.txt', 404],
  ['/%2e%2e/secret.txt', 404],
  ['/folder/..%2f..%2fsecret.txt', 404],
  ['/..%2frootless/secret.txt', 404],
  ['/..\\secret.txt', 404],
  ['/out.txt', 404],
  ['/up/secret.txt', 404],
  ['/round', 404],
  ['/pipe', 404],
  ['/%00', 404],
  [`/${'long'.repeat(2000)}`, 404],
  ['/%zz', 400],
])('refuses %s', async (path, status) => {
  const answer = await ask(path)
  expect(answer.status).toBe(status)
  expect(answer.body.toString()).not.toContain('secret')
})

it('knows two methods, and is heard by whoever sends much', async () => {
  expect(await ask('/large.bin', { method: 'HEAD' })).toMatchObject({ status: 200, body: Buffer.alloc(0) })
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask('/', { method: 'POST', body: large })))
  for (const { status, headers } of answers) expect([status, headers.allow]).toEqual([405, 'GET, HEAD'])
})

it('gives whole files to some while others leave', async () => {
  const leave = () =>
    new Promise((resolve) => {
      const leaving = request({ host: '127.0.0.1', port: server.address().port, path: '/large.bin', agent: false })
      leaving.on('error', resolve)
      leaving.on('response', (response) => {
        response.once('data', () => leaving.destroy())
        response.on('close', resolve)
      })
      leaving.end()
    })
  const [whole] = await Promise.all([ask('/large.bin'), ...Array.from({ length: 10 }, leave)])
  expect(whole.body.equals(large)).toBe(true)
})

it('says what is wrong with a port', () => {
  const program = join(import.meta.dirname, '../../examples/browser/serve.mjs')
  for (const port of ['x', '70000', '-1']) {
    const { status, stderr } = spawnSync(process.execPath, [program, port], { encoding: 'utf8' })
    expect([status, stderr]).toEqual([1, `demo: the port must be a number from 0 to 65535, not "${port}"\n`])
  }
})
