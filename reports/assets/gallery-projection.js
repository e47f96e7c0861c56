// @ts-check
// What a scanner would have measured of a picture: its line integrals along the rays of the scan.
"use strict";
(() => {
  const AT_A_TIME_MS = 12;
  const LARGEST = 32767;

  /**
   * Joseph's method (IEEE Trans. Med. Imaging 1(3), 1982), as marbench.ct.project: a ray is followed along the axis that it
   * is more parallel to, a row or a column of pixels at a time, and the image is interpolated linearly across.
   * @param {Float32Array} mu 1/cm
   * @param {{ rows: number, columns: number }} size
   * @param {number} pixel cm
   * @param {number} theta direction of the line in radians
   * @param {number} t its distance from the isocentre in cm
   */
  const lineIntegral = (mu, { rows, columns }, pixel, theta, t) => {
    const [cos, sin] = [Math.cos(theta), Math.sin(theta)];
    const byRow = Math.abs(cos) >= Math.abs(sin);
    const [across, along] = byRow ? [cos, sin] : [sin, cos];
    const [wide, long] = byRow ? [columns, rows] : [rows, columns];
    const [strideAcross, strideAlong] = byRow ? [1, columns] : [columns, 1];
    const slope = along / across;
    const offset = (byRow ? t : -t) / pixel / across + (wide - 1) / 2 - (slope * (long - 1)) / 2;
    let sum = 0;
    for (let step = 0; step < long; step += 1) {
      const position = offset + slope * step;
      if (position <= -1 || position >= wide) continue;
      const lower = Math.floor(position);
      const fraction = position - lower;
      const at = step * strideAlong + lower * strideAcross;
      if (lower >= 0) sum += mu[at] * (1 - fraction);
      if (lower < wide - 1) sum += mu[at + strideAcross] * fraction;
    }
    // From one row to the next a ray runs pixel / |cos θ|.
    return (sum * pixel) / Math.abs(across);
  };

  /** @type {Gallery["project"]} */
  const project = async (image, { beta, gamma, distance, pixel, water }) => {
    const mu = Float32Array.from(image.values, (hu) => (hu / 1000 + 1) * water);
    const values = new Int16Array(beta.length * gamma.length);
    let began = performance.now();
    for (let view = 0; view < beta.length; view += 1) {
      for (let bin = 0; bin < gamma.length; bin += 1) {
        const integral = lineIntegral(mu, image, pixel, beta[view] + gamma[bin], distance * Math.sin(gamma[bin]));
        values[view * gamma.length + bin] = Math.min(LARGEST, Math.round(1000 * integral));
      }
      if (performance.now() - began > AT_A_TIME_MS) {
        await new Promise((done) => { setTimeout(done); });
        began = performance.now();
      }
    }
    return { rows: beta.length, columns: gamma.length, values };
  };

  Object.assign(window.marbenchGallery, { project });
})();
