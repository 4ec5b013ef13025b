/** Decimal digits of a finite, non-negative number: 0.DIGITS × 10^point. */
interface Decimal {
  readonly digits: string;
  readonly point: number;
}

/**
 * A float64 in one of Go's formats; `precision` undefined means as many digits as are needed to read the
 * same number back. The sign of a negative number is included.
 */
export function formatFloat(value: number, verb: string, precision: number | undefined): string {
  if (Number.isNaN(value)) return 'NaN';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const size = Math.abs(value);
  if (size === Number.POSITIVE_INFINITY) return `${sign || '+'}Inf`;
  switch (verb) {
    case 'b':
      return sign + binary(size);
    case 'x':
      return sign + hexadecimal(size, precision);
    case 'X':
      return sign + hexadecimal(size, precision).toUpperCase();
    case 'e':
      return sign + scientific(decimalFor(size, precision === undefined ? undefined : precision + 1), precision);
    case 'E':
      return formatFloat(value, 'e', precision).toUpperCase();
    case 'f':
      return sign + fixed(size, precision);
    case 'G':
      return formatFloat(value, 'g', precision).toUpperCase();
    default:
      return sign + general(size, precision);
  }
}

/** `%g`: scientific for exponents below -4 or not below the precision. */
function general(size: number, precision: number | undefined): string {
  const significant = precision === undefined ? undefined : Math.max(precision, 1);
  const decimal = trimmed(decimalFor(size, significant));
  const exponent = size === 0 ? 0 : decimal.point - 1;
  let threshold = significant ?? 6;
  if (threshold > decimal.digits.length && decimal.digits.length >= decimal.point) threshold = decimal.digits.length;
  if (significant === undefined) threshold = 6;
  return exponent < -4 || exponent >= threshold ? scientific(decimal, undefined) : plain(decimal, undefined);
}

function fixed(size: number, precision: number | undefined): string {
  if (precision === undefined) return plain(shortest(size), undefined);
  const exact = exactDecimal(size);
  return plain(rounded(exact, exact.point + precision), precision);
}

function scientific({ digits, point }: Decimal, precision: number | undefined): string {
  const padded = precision === undefined ? digits || '0' : (digits || '0').padEnd(precision + 1, '0');
  const exponent = digits === '' || /^0*$/.test(digits) ? 0 : point - 1;
  const fraction = padded.length > 1 ? `.${padded.slice(1)}` : '';
  return `${padded.slice(0, 1)}${fraction}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

function plain({ digits, point }: Decimal, precision: number | undefined): string {
  const whole = point <= 0 ? '0' : digits.slice(0, point).padEnd(point, '0');
  const rest = point <= 0 ? '0'.repeat(-point) + digits : digits.slice(point);
  const fraction = precision === undefined ? rest : rest.slice(0, precision).padEnd(precision, '0');
  return (whole === '' ? '0' : whole) + (fraction === '' ? '' : `.${fraction}`);
}

function decimalFor(size: number, significant: number | undefined): Decimal {
  return significant === undefined ? shortest(size) : rounded(exactDecimal(size), significant);
}

/** The fewest digits that read back as the same number. */
function shortest(size: number): Decimal {
  if (size === 0) return { digits: '', point: 0 };
  const [mantissa = '', exponent = '0'] = size.toExponential().split('e');
  return { digits: mantissa.replace('.', ''), point: Number(exponent) + 1 };
}

/** All digits of a number: every float64 is a finite decimal. */
function exactDecimal(size: number): Decimal {
  if (size === 0) return { digits: '', point: 0 };
  const { mantissa, exponent } = parts(size);
  const shift = BigInt(Math.abs(exponent));
  const digits = (exponent >= 0 ? mantissa << shift : mantissa * 5n ** shift).toString();
  return { digits, point: digits.length + Math.min(exponent, 0) };
}

/** Keeps `count` digits, rounding halves to even. */
function rounded({ digits, point }: Decimal, count: number): Decimal {
  if (count >= digits.length) return { digits, point };
  if (count < 0) return { digits: '', point: 0 };
  const kept = digits.slice(0, count);
  const rest = digits.slice(count);
  const half = `5${'0'.repeat(rest.length - 1)}`;
  const odd = Number(kept.at(-1) ?? '0') % 2 === 1;
  if (rest < half || (rest === half && !odd)) return { digits: kept, point };
  const up = (BigInt(kept || '0') + 1n).toString().padStart(kept.length, '0');
  return { digits: up, point: point + (up.length - kept.length) };
}

function trimmed({ digits, point }: Decimal): Decimal {
  return { digits: digits.replace(/0+$/, ''), point };
}

/** size = mantissa × 2^exponent, both whole. */
function parts(size: number): { readonly mantissa: bigint; readonly exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, size);
  const bits = view.getBigUint64(0);
  const biased = Number(bits >> 52n);
  const fraction = bits & ((1n << 52n) - 1n);
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: biased - 1075 };
}

function binary(size: number): string {
  const { mantissa, exponent } = parts(size);
  return `${mantissa}p${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`;
}

function hexadecimal(size: number, precision: number | undefined): string {
  let { mantissa, exponent } = parts(size);
  if (size !== 0) while (mantissa < 1n << 52n) [mantissa, exponent] = [mantissa << 1n, exponent - 1];
  let shown = size === 0 ? 0 : exponent + 52;
  if (precision !== undefined && precision < 13) {
    const drop = BigInt((13 - precision) * 4);
    const rest = mantissa & ((1n << drop) - 1n);
    mantissa >>= drop;
    const half = 1n << (drop - 1n);
    if (rest > half || (rest === half && (mantissa & 1n) === 1n)) mantissa += 1n;
    mantissa <<= drop;
    if (mantissa >= 1n << 53n) [mantissa, shown] = [mantissa >> 1n, shown + 1];
  }
  const digits = mantissa.toString(16).padStart(14, '0');
  const all = digits.slice(1);
  const fraction = precision === undefined ? all.replace(/0+$/, '') : all.slice(0, precision).padEnd(precision, '0');
  const sign = shown < 0 ? '-' : '+';
  return `0x${digits[0]}${fraction === '' ? '' : `.${fraction}`}p${sign}${String(Math.abs(shown)).padStart(2, '0')}`;
}
