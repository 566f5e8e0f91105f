/** Commands that are printed to be run again, given to a shell. */
import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { optionWords, quoted } from '../../src/cli/shell.js'
import { visible } from '../../src/runtime/text.js'

const shells = ['sh', 'bash', 'dash', 'zsh', 'ksh'].filter((shell) => spawnSync(shell, ['-c', ':']).status === 0)

/** The words that a shell reads in a command. */
function wordsIn(shell: string, command: string): string[] {
  const script = `show() { for word; do printf '%s\\0' "$word"; done; }; show ${command}`
  const { stdout, stderr, status } = spawnSync(shell, ['-c', script])
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' })
  return stdout.toString('latin1').split('\0').slice(0, -1)
}

const bytesOf = (text: string): string => Buffer.from(text).toString('latin1')

const nasty = [
  ...[
    'plain',
    'runs/a-1',
    'two words',
    "it's",
    '"',
    '$HOME',
    '`id`',
    '$(id)',
    '!!',
    '*',
    '?',
    '[a]',
    '~',
    '#',
    ';',
    '&',
  ],
  ...['a\\b', '\\', '%s%d', '-x', '--resume', '', ' ', '\t', 'a\nb', '\n', "\n'$(id)'\u001b[2J", 'é', '猫', '\u202ex'],
  ...['\u0085%\\', '{a,b}', '=ls', 'a=b', '<x>', '|', '\u007f1', '\u001b7'],
]

describe.skipIf(process.platform === 'win32')('quoted', () => {
  it.each(shells)('is read back by %s as it was', (shell) => {
    const words = nasty.filter((word) => !word.endsWith('\n'))
    expect(wordsIn(shell, words.map(quoted).join(' '))).toEqual(words.map(bytesOf))
    // A folder may have a slash, and the shell cuts line breaks off.
    expect(wordsIn(shell, quoted('a\n\n'))).toEqual(['a\n\n/'])
    // A name that is not UTF-8 is its bytes.
    expect(wordsIn(shell, quoted('caf\udce9'))).toEqual(['caf\u00e9'])
  })

  it('is read back as it was, whatever it is, and is one line of visible characters', () => {
    const word = fc.string({
      unit: fc.oneof(
        fc.constantFrom(...Array.from('\n\t\u001b\u202e\'"\\$`%! -~#*?{}()<>|;&=')),
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
      ),
    })
    fc.assert(
      fc.property(fc.array(word, { minLength: 20, maxLength: 20 }), (words) => {
        const whole = words.map((text) => `${text}.`)
        const command = whole.map(quoted).join(' ')
        expect(command).toBe(visible(command))
        expect(wordsIn('sh', command)).toEqual(whole.map(bytesOf))
      }),
      { numRuns: 30 },
    )
  })

  it('leaves plain words as they are, and joins a value that looks like an option', () => {
    expect(quoted('runs/convnet-mnist_2.x')).toBe('runs/convnet-mnist_2.x')
    expect(optionWords('--lr', 0.01)).toBe('--lr 0.01')
    expect(optionWords('--resume', 'my runs')).toBe("--resume 'my runs'")
    expect(optionWords('--resume', '-x y')).toBe("--resume='-x y'")
  })
})
