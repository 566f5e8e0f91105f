/** Functions of one number, the same bits everywhere: what schedules and bias corrections need. */

export function scalar_cos(x: f64): f64 {
  return NativeMath.cos(x)
}

export function scalar_pow(base: f64, exponent: f64): f64 {
  return NativeMath.pow(base, exponent)
}

export function scalar_sin(x: f64): f64 {
  return NativeMath.sin(x)
}

export function scalar_exp(x: f64): f64 {
  return NativeMath.exp(x)
}
