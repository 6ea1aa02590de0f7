/** Smoothed round-trip time and its variation (RFC 6298 §2). Samples of repeated messages are never taken (Karn's rule). */
export class RoundTrip {
  /** 0 before the first sample. */
  smoothedNs = 0
  variationNs = 0

  sample(rttNs: number): void {
    if (this.smoothedNs === 0) {
      this.smoothedNs = Math.max(1, rttNs)
      this.variationNs = Math.floor(rttNs / 2)
      return
    }
    this.variationNs = Math.floor((3 * this.variationNs + Math.abs(this.smoothedNs - rttNs)) / 4)
    this.smoothedNs = Math.max(1, Math.floor((7 * this.smoothedNs + rttNs) / 8))
  }
}
