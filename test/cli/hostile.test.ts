/** The built command among hostile names, pipes, devices, closed outputs and places that cannot be written. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodePng } from '../../src/formats/png.js'

const command = resolve(import.meta.dirname, '../../dist/cli/main.js')
const folder = mkdtempSync(join(tmpdir(), 'toeplitz-hostile-'))
/** A folder whose `toeplitz` is the built command, for printed commands. */
const bin = join(folder, 'bin')
const environment = { ...process.env, PATH: `${bin}:${process.env['PATH']}`, TERM: 'dumb' }
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** All but the line breaks that end lines. */
const forbidden = /[^\P{Cc}\n]|[\p{Zl}\p{Zp}\p{Bidi_Control}]/u

interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly error: string
}

/** Nothing here may hang: what takes longer than half a minute fails. */
const limits = { encoding: 'utf8', timeout: 30_000, killSignal: 'SIGKILL' } as const

function toeplitz(args: readonly string[], options: { cwd?: string; uid?: number } = {}): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
    ...limits,
    cwd: folder,
    env: environment,
    ...options,
  })
  return { code: status, out: stdout, error: stderr }
}

function shell(script: string): Outcome {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { ...limits, cwd: folder, env: environment })
  return { code: status, out: stdout, error: stderr }
}

/** A folder with pictures of two classes that are told apart by their brightness. */
function writePictures(directory: string, count: number, names: readonly [string, string] = ['dark', 'light']): void {
  for (let n = 0; n < count; n++) {
    mkdirSync(join(directory, names[n % 2]!), { recursive: true })
    const data = new Uint8Array(8 * 8 * 3).fill(n % 2 ? 255 - (n % 50) : n % 50)
    writeFileSync(join(directory, names[n % 2]!, `${n}.png`), encodePng({ width: 8, height: 8, channels: 3, data }))
  }
}

const training = ['train', '--model', 'linear', '--epochs', '2', '--batch-size', '8', '--lr', '0.01']

beforeAll(() => {
  mkdirSync(bin)
  writeFileSync(join(bin, 'toeplitz'), `#!/bin/sh\nexec '${process.execPath}' '${command}' "$@"\n`)
  chmodSync(join(bin, 'toeplitz'), 0o755)
  writePictures(join(folder, 'photos'), 48)
})

describe.skipIf(process.platform === 'win32')('folders of pictures', () => {
  it('are read through links, without what is no file, and with names of all kinds', () => {
    const evil = 'a\ntoeplitz: b\u001b[2J\u202e<b>"\'$(id)'
    const data = join(folder, `data ${evil.replace('/', '')}`)
    writePictures(join(folder, 'linked.d'), 24, [evil, 'plain'])
    mkdirSync(data)
    symlinkSync(join(folder, 'linked.d', evil), join(data, evil))
    writePictures(data, 24, ['other', 'plain'])
    symlinkSync('/dev/zero', join(data, 'plain/zero.png'))
    execFileSync('mkfifo', [join(data, 'plain', `${evil}.png`)])
    symlinkSync('nowhere', join(data, 'plain/dangling.jpg'))
    writeFileSync(join(data, 'plain/notes.txt'), 'no picture')
    const { code, out, error } = toeplitz([...training, '--data', data, '--out', 'evil'])
    expect({ code, error }).toEqual({ code: 0, error: '' })
    expect(out).not.toMatch(forbidden)
    expect(out).not.toMatch(/^toeplitz/m)
    expect(out).toMatch(/: \d+ training, \d+ validation, 6 test images; results in evil$/m)
    expect(out).toMatch(
      /^note: left out 1 file in the classes, such as .*notes\.txt: names of pictures end in \.png, \.jpg, \.jpeg$/m,
    )
    for (const expected of [
      /^warning: .*plain\/a\\ntoeplitz: b\\x1b\[2J\\u202e.*\.png: is a pipe, which is not read; .*; skipped$/m,
      /^warning: .*plain\/zero\.png: is a device, which is not read; .*; skipped$/m,
      /^warning: .*plain\/dangling\.jpg: is a link that leads nowhere; .*; skipped$/m,
      /^skipped +3 pictures, as told above$/m,
    ]) {
      expect(out).toMatch(expected)
    }
    const report = readFileSync(join(folder, 'evil/report.html'), 'utf8')
    expect(report).not.toMatch(forbidden)
    expect(report).not.toContain('<b>')
    expect(report).toContain('\\x1b[2J\\u202e&lt;b&gt;')
    const model = readFileSync(join(folder, 'evil/model.json'), 'utf8')
    expect((JSON.parse(model) as { classes: string[] }).classes).toEqual([evil, 'other', 'plain'])
    const strict = toeplitz([...training, '--data', data, '--strict', '--out', 'evil-strict'])
    expect(strict).toMatchObject({ code: 1, out: '' })
    expect(strict.error).toMatch(/^toeplitz: [^\n]*(is a pipe|is a device|leads nowhere)[^\n]*\n$/)
    expect(existsSync(join(folder, 'evil-strict'))).toBe(false)
  })

  it('are told apart from what lies beside and in the classes, which is named by what it is', () => {
    const data = join(folder, 'beside')
    writePictures(data, 24)
    mkdirSync(join(data, 'dark/dir.png'))
    writeFileSync(join(data, 'loose.png'), '')
    execFileSync('mkfifo', [join(data, 'fifo')])
    symlinkSync('loose.png', join(data, 'link.txt'))
    const { code, out } = toeplitz([...training, '--data', 'beside', '--out', 'besides'])
    expect(code).toBe(0)
    expect(out.match(/^note: .*$/gm)).toEqual([
      'note: left out 1 folder in the classes, such as beside/dark/dir.png: of a class, only what lies in its folder itself is read',
      'note: left out 1 pipe beside the folders that are read, such as beside/fifo: a class is a folder with its pictures',
      'note: left out 1 file beside the folders that are read, such as beside/link.txt: a class is a folder with its pictures',
      'note: left out 1 picture beside the folders that are read, such as beside/loose.png: put each in the folder of its class',
    ])
  })

  it('are bounded by the limits that are asked for, which are those of the run', () => {
    writePictures(join(folder, 'bounded'), 24)
    const data = new Uint8Array(40 * 30 * 3).fill(9)
    writeFileSync(join(folder, 'bounded/dark/0.png'), encodePng({ width: 40, height: 30, channels: 3, data }))
    const args = [...training, '--data', 'bounded', '--image-size', '8', '--max-pixels', '1000']
    const { code, out } = toeplitz([...args, '--out', 'bounds'])
    expect(code).toBe(0)
    expect(out).toMatch(
      /^warning: bounded\/dark\/0\.png: the PNG has 40 × 30 pixels, more than the limit of 1000; .*--max-pixels/m,
    )
    expect(readFileSync(join(folder, 'bounds/result.json'), 'utf8')).toContain(
      '--image-size 8 --max-pixels 1000 --epochs',
    )
    const bytes = toeplitz([...args.slice(0, -2), '--max-bytes', '3000', '--strict', '--out', 'bytes'])
    expect(bytes.code).toBe(1)
    expect(bytes.error).toMatch(/bounded\/dark\/0\.png: .* more than the limit of 3000; .*--max-bytes/)
  })

  it('are read with few file handles, all of them', () => {
    writePictures(join(folder, 'many'), 300)
    const { code, out } = shell(
      `ulimit -n 48; toeplitz ${training.join(' ')} --batch-size 250 --data many --out few-handles 2>&1`,
    )
    expect(out).not.toContain('skipped')
    expect(code).toBe(0)
  })
})

describe.skipIf(process.platform === 'win32')('paths on the command line', () => {
  beforeAll(() => {
    execFileSync('mkfifo', [join(folder, 'pipe.png'), join(folder, 'pipe.safetensors')])
    writeFileSync(join(folder, 'empty.png'), '')
    writeFileSync(
      join(folder, 'swapped.png'),
      encodePng({ width: 2, height: 1, channels: 1, data: Uint8Array.of(1, 2) }),
    )
    writeFileSync(join(folder, 'note.txt'), 'hello')
    writeFileSync(join(folder, 'empty.json'), '')
    writeFileSync(join(folder, 'empty.safetensors'), '')
    symlinkSync('circle', join(folder, 'circle'))
  })

  it.each<[string[], RegExp]>([
    [['predict', '/dev/zero', 'a.png'], /\/dev\/zero: is a device, which is not read; name a regular file/],
    [['summary', 'pipe.safetensors'], /pipe\.safetensors: is a pipe, which is not read; name a regular file/],
    [
      ['explain', '.'],
      /\.: there is no model in the folder; give the folder of a run, its model\.json or a model\.safetensors/,
    ],
    [['summary', 'empty.json'], /empty\.json: the file is empty; give the folder of a run/],
    [['summary', 'empty.safetensors'], /empty\.safetensors: the file is empty; give the folder of a run/],
    [
      ['predict', 'swapped.png', 'a.safetensors'],
      /swapped\.png: is a PNG, and no model; give the folder of a run, its .* first$/m,
    ],
    [
      ['predict', 'note.txt', 'swapped.png'],
      /note\.txt: is no model: neither JSON nor the name of a \.safetensors file; give/,
    ],
    [['predict', 'photos', 'swapped.png'], /photos: there is no model in the folder; give/],
    [['summary', 'circle'], /circle: symbolic links lead in a circle/],
    [['summary', `${'n'.repeat(300)}/x`], /the name is longer than the system allows/],
    [['train', '--data', 'circle'], /argument 'circle' is invalid.*symbolic links lead in a circle/],
    [['train', '--data-dir', 'pipe.png'], /pipe\.png: no such directory/],
  ])('%j is explained in one line', (args, expected) => {
    const { code, out, error } = toeplitz(args)
    expect({ code, out }).toEqual({ code: expected.source.startsWith('argument') ? 2 : 1, out: '' })
    expect(error).toMatch(/^toeplitz: [^\n]+\n$/)
    expect(error).toMatch(expected)
  })
})

describe.skipIf(process.platform === 'win32')('an output that nobody reads', () => {
  it('ends a command quietly, of stdout and of stderr', () => {
    // The reader is gone before anything is written.
    const { out, error } = shell(
      `set -o pipefail
      { sleep 0; toeplitz summary vgg16; echo "code $?" >&2; } | exec true
      { toeplitz nonsense 2>&1 >/dev/null; echo "code $?" >&3; } 3>&2 | exec true
      toeplitz explain vgg16 --json --pass all | head -n 1`,
    )
    expect(error).toBe('code 141\ncode 141\n')
    expect(out).toBe('{\n')
  })

  it('ends a training with its checkpoint', () => {
    const { code, out, error } = shell(
      `toeplitz ${training.join(' ')} --epochs 20000 --data photos --out unread | grep -m 1 'epoch 3/20000 in'; exit \${PIPESTATUS[0]}`,
    )
    expect({ code, error }).toEqual({ code: 141, error: '' })
    expect(out).toMatch(/^epoch 3\/20000 in [^\n]*\n$/)
    expect(existsSync(join(folder, 'unread/checkpoint.safetensors'))).toBe(true)
    expect(readdirSync(join(folder, 'unread')).filter((name) => /lock|tmp/.test(name))).toEqual([])
  })

  it.skipIf(!existsSync('/dev/full'))('says why where it cannot be written', () => {
    expect(shell('toeplitz summary vgg16 > /dev/full')).toEqual({
      code: 1,
      out: '',
      error: 'toeplitz: the output cannot be written (ENOSPC)\n',
    })
  })
})

describe.skipIf(process.platform === 'win32')('printed commands', () => {
  const nasty = `it's a "run"\n$(touch forged) \u001b[2J\u202e %s\\`

  it('goes on with an interrupted run, whatever its folders are called', async () => {
    const data = `-photos ${nasty}`
    writePictures(join(folder, data), 48)
    const args = [...training, '--epochs', '400', '--strict', `--data=${data}`, '--out', nasty, '--threads', '1']
    const child = spawn(process.execPath, [command, ...args], { cwd: folder })
    let out = ''
    let sent = false
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString()
      if (!sent && out.includes('epoch 2/400 in')) sent = child.kill('SIGINT')
    })
    expect(await new Promise((done) => child.on('close', done))).toBe(130)
    expect(out).not.toMatch(forbidden)
    const goOn = /^Go on with: (toeplitz train .*)$/m.exec(out)![1]!
    expect(goOn).toMatch(/ --threads 1 --strict$/)
    expect(spawnSync('sh', ['-c', goOn], { ...limits, cwd: folder, env: environment })).toMatchObject({
      status: 0,
      stderr: '',
    })
    expect(existsSync(join(folder, nasty, 'model.safetensors'))).toBe(true)
    expect(existsSync(join(folder, 'forged'))).toBe(false)
    const again = toeplitz([...args, '--resume'])
    expect(again.code).not.toBe(0)
  })

  it('trains with the best that a search found, and repeats what a report tells', () => {
    const data = `photos ${nasty}`
    writePictures(join(folder, data), 48)
    const searching = ['search', '--model', 'linear', '--lr', '0.01', '--weight-decay', '0', '--data', data]
    const { code, out } = toeplitz([...searching, '--out', 'search'])
    expect(code).toBe(0)
    expect(out).not.toMatch(forbidden)
    const best = /^best +(toeplitz train .*)$/m.exec(out)![1]!
    const run = (text: string, name: string): string => {
      expect(shell(`${text} --out ${name}`)).toMatchObject({ code: 0, error: '' })
      return (JSON.parse(readFileSync(join(folder, name, 'result.json'), 'utf8')) as { sha256: string }).sha256
    }
    const sha256 = run(best, 'best')
    const page = readFileSync(join(folder, 'best/report.html'), 'utf8')
    const shown = /<dt>Command<\/dt><dd><code>(.*?)<\/code>/s.exec(page)![1]!.replace(/<[^>]+>/g, '')
    const entities: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" }
    expect(
      run(
        shown.replace(/&[^;]+;/g, (entity) => entities[entity]!),
        'repeated',
      ),
    ).toBe(sha256)
    expect(existsSync(join(folder, 'forged'))).toBe(false)
  })
})

describe.skipIf(process.platform === 'win32')('places that cannot be written', () => {
  const anyUser = process.getuid?.() === 0 ? 65534 : undefined

  it.each<[string, () => string]>([
    ['below a file', () => join(folder, 'photos/dark/0.png/run')],
    ['a file', () => join(folder, 'photos/dark/0.png')],
    ['a pipe', () => (execFileSync('mkfifo', [join(folder, 'out-pipe')]), 'out-pipe')],
    ['a device', () => '/dev/null'],
    ['where no directory can be made', () => '/proc/toeplitz/run'],
    ['a name that is too long', () => join('new', 'n'.repeat(300))],
    ['a path that is too long', () => 'new/'.repeat(1015)],
    ['a circle', () => (symlinkSync('out-circle', join(folder, 'out-circle')), 'out-circle')],
    ['a link that leads nowhere', () => (symlinkSync('out-nowhere/x', join(folder, 'out-link')), 'out-link')],
    [
      'without permission',
      () => {
        const place = join(folder, 'locked')
        mkdirSync(place)
        chmodSync(place, 0o555)
        chmodSync(folder, 0o755)
        return place
      },
    ],
  ])('are refused before anything else is done: %s', (name, make) => {
    const out = make()
    const user = name === 'without permission' && anyUser !== undefined ? { uid: anyUser } : {}
    // The data is not there either: who loads it first says so.
    for (const kind of name === 'below a file' ? ['train', 'search'] : ['train']) {
      const { code, out: printed, error } = toeplitz([kind, '--data-dir', 'no-data', '--out', out], user)
      expect({ code, printed }).toEqual({ code: 1, printed: '' })
      expect(error).toMatch(/^toeplitz: [^\n]+\n$/)
      expect(error).not.toContain('no-data')
      expect(error).toContain(out.slice(0, 10))
    }
    expect(existsSync(join(folder, 'new'))).toBe(false)
  })

  it('are told from a working directory that was removed', () => {
    const { code, out, error } = shell(
      `mkdir removed; cd removed; rmdir ../removed
      toeplitz train --data-dir "${folder}/no-data"; toeplitz train --out "${folder}/elsewhere" --data-dir nothing`,
    )
    expect({ code, out }).toEqual({ code: 1, out: '' })
    // The shells have something to say, too.
    expect(error.split('\n').filter((line) => line.startsWith('toeplitz'))).toEqual([
      'toeplitz: runs/convnet-mnist: cannot be made: the directory above it takes none, or is gone; name another path',
      expect.stringMatching(/^toeplitz: nothing: no such directory; /),
    ])
    expect(existsSync(join(folder, 'elsewhere'))).toBe(false)
  })

  it('leave nothing behind where the data is missing', () => {
    const { code, error } = toeplitz(['train', '--data-dir', 'no-data', '--out', 'fresh/run'])
    expect(code).toBe(1)
    expect(error).toContain('no-data: no such directory')
    expect(existsSync(join(folder, 'fresh'))).toBe(false)
  })
})
