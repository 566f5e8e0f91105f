/** What searches of hyperparameters take and tell. */
import type { Signal } from '../runtime/platform.js'
import { checkList, checkObject } from '../runtime/check.js'
import { checkCount } from '../runtime/options.js'

/** An interval to draw from: evenly over the logarithm (default), or over the numbers themselves. */
export interface SearchRange {
  /** Lower end. */
  readonly low: number
  /** Upper end. */
  readonly high: number
  /** What is drawn evenly: the logarithm of the number, or the number itself. Default 'log'. */
  readonly scale?: 'log' | 'linear'
}

/** One set of values that was tried. */
export interface Trial {
  /** Counted from 1 over all rounds. */
  readonly number: number
  /** Counted from 1. */
  readonly round: number
  /** What was tried, by name. */
  readonly values: Readonly<Record<string, number>>
  /** The higher the better; null where training diverged or there was no number. */
  readonly score: number | null
  /** How long it took. */
  readonly seconds: number
}

/** What a search found. */
export interface SearchResult {
  /** In the order in which they were made. */
  readonly trials: readonly Trial[]
  /** The trial of the highest score, the first of equals; undefined where none has one. */
  readonly best: Trial | undefined
  /** 'aborted' when the signal ended it after a whole trial. */
  readonly stopped: 'finished' | 'aborted'
}

/** Where a trial stands, for those that train for longer in later rounds. */
export interface TrialPlace {
  /** Number of the trial, from 1. */
  readonly number: number
  /** Number of the round, from 1. */
  readonly round: number
}

/** A score, the higher the better, for hyperparameters by name. A DivergedError counts as no score. */
export type TrialFunction = (values: Readonly<Record<string, number>>, place: TrialPlace) => Promise<number> | number

/** Called by searches, and waited for. */
export interface SearchCallbacks {
  /** After each trial. */
  onTrial?(trial: Trial): void | Promise<void>
  /** Ends the search after the trial in progress. */
  readonly signal?: Signal
  /**
   * Trials of a round that are made at the same time, where the function waits for something else than this process, such as another
   * machine. Results are told and listed in the order of their numbers. Default 1.
   */
  readonly concurrency?: number
}

/** Options of `randomSearch`. */
export interface RandomSearchOptions extends SearchCallbacks {
  /** The range of every value, by name. */
  readonly space: Readonly<Record<string, SearchRange>>
  /** Trials in each round. */
  readonly trials: number
  /** Rounds, each in the part of the space where the best trials of the round before lie. Default 1. */
  readonly rounds?: number
  /** Share of a round's trials that the next one's space is laid around. Default ¼. */
  readonly keep?: number
  /** Default 0. */
  readonly seed?: number
}

/** Options of `gridSearch`. */
export interface GridSearchOptions extends SearchCallbacks {
  /** Values to try, by name; every combination is one trial. */
  readonly values: Readonly<Record<string, readonly number[]>>
}

/** Trials with a score, the best first; the earlier of equals. */
export function ranked(trials: readonly Trial[]): Trial[] {
  checkCount('ranked', 1, arguments)
  checkList(trials, 'ranked: the trials', 'a list, such as those of a search')
  for (const trial of trials) checkObject(trial, 'ranked: a trial')
  return trials
    .filter((trial) => trial.score !== null)
    .sort((a, b) => (b.score as number) - (a.score as number) || a.number - b.number)
}
