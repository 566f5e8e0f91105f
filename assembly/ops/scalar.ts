/** Functions of one number, the same bits everywhere: what schedules and bias corrections need. */
import { cos, exp, pow, sin } from '../double'

export function scalar_cos(x: f64): f64 {
  return cos(x)
}

export function scalar_pow(base: f64, exponent: f64): f64 {
  return pow(base, exponent)
}

export function scalar_sin(x: f64): f64 {
  return sin(x)
}

export function scalar_exp(x: f64): f64 {
  return exp(x)
}
