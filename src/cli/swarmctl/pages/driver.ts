import type { Driver } from '../../../api/index.js';
import { entry, pairs, type PageLine } from '../render/page.js';

/** Lines of a driver with its options. */
export function driverLines(depth: number, driver: Driver | undefined): readonly PageLine[] {
  if (driver === undefined) return [];
  return [...entry(depth, 'Name', driver.name), ...pairs(depth, driver.options)];
}
