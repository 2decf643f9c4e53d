export {
  clearEntries,
  findEntries,
  mark,
  measure,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
} from "../performance/entries.ts";
export { PerformanceObserver, PerformanceObserverEntryList } from "../performance/observer.ts";
