import eslint from '@eslint/js'
import { globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

const library = ['src/**/*.ts']

export default tseslint.config(
  // assembly/ is AssemblyScript, which its own compiler checks; bench/ is a package of its own.
  globalIgnores(['dist', 'docs/api', 'examples/*/dist', 'build', 'runs', 'assembly', 'bench', 'src/runtime/generated']),
  eslint.configs.recommended,
  {
    files: ['**/*.mjs'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly' } },
  },
  {
    // What they use exists in every runtime that they start.
    files: ['test/platform/**/*.mjs', 'examples/**/*.mjs'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          ...['AbortController', 'AbortSignal', 'Buffer', 'Request', 'Response', 'URL', 'clearTimeout', 'crypto'],
          ...['document', 'fetch', 'location', 'performance', 'setTimeout', 'TextEncoder', 'ReadableStream'],
          ...['Headers', 'clearInterval', 'setInterval'],
        ].map((name) => [name, 'readonly']),
      ),
    },
  },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // Typed-array elements are known to exist where loops bound the index.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // Callers in JavaScript pass what the types forbid; validation looks at it all the same.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // Options of operations without any are void.
      '@typescript-eslint/no-invalid-void-type': 'off',
      // A rest parameter that nothing may be given for would stand in the published types.
      'prefer-rest-params': 'off',
      // Results of vjp are closures, made to be taken apart.
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    files: library,
    rules: {
      // Engines compute these differently: tensors come from the core's own functions. Math.sqrt, fround, imul are exact.
      'no-restricted-properties': [
        'error',
        ...[
          ...[
            'exp',
            'expm1',
            'log',
            'log10',
            'log1p',
            'log2',
            'pow',
            'sin',
            'cos',
            'tan',
            'asin',
            'acos',
            'atan',
            'atan2',
          ],
          ...['sinh', 'cosh', 'tanh', 'asinh', 'acosh', 'atanh', 'cbrt', 'hypot', 'random'],
        ].map((property) => ({
          object: 'Math',
          property,
          message: 'Engines differ here; use the functions of the core.',
        })),
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "BinaryExpression[operator='**'] > :not(Literal)",
          message: 'Engines differ in powers; use the core, or * for small whole ones.',
        },
      ],
    },
  },
)
