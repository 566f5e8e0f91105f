import type { ChildProcess } from 'node:child_process'

export const hasRedis: boolean
export function freePort(): Promise<number>
export function startRedis(...more: string[]): Promise<{
  readonly url: string
  readonly port: number
  restart(): Promise<void>
  stop(): Promise<void>
}>
export function startProcess(
  url: string,
  ...more: string[]
): Promise<{
  readonly child: ChildProcess
  readonly texts: { readonly out: string; readonly error: string }
  readonly ended: Promise<unknown>
  end(signal?: NodeJS.Signals): Promise<unknown>
}>
