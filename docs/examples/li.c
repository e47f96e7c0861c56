/* Linear interpolation of the metal trace and filtered back-projection, of scans that `marbench export --format raw`
   has written: a whole method outside Python. What stands in README.txt of the export is all that it knows.

   cc -O2 -o li li.c -lm
   ./li scans/test/<case_id> images/<case_id>.raw
*/
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* README.txt: the numbers of the benchmark mini. */
enum { VIEWS = 256, BINS = 192, SIZE = 128 };
static const double PIXEL = 0.32, DISTANCE = 105.85, PITCH = 0.00296705973, WATER = 0.192, PI = 3.14159265358979;

static float line[VIEWS][BINS], image[SIZE][SIZE];
static unsigned char trace[VIEWS][BINS];
static double filtered[VIEWS][BINS];

static int load(const char *stem, const char *array, void *to, size_t size)
{
    char name[4096];
    snprintf(name, sizeof name, "%s.%s.raw", stem, array);
    FILE *file = fopen(name, "rb");
    if (!file || fread(to, 1, size, file) != size) return fprintf(stderr, "%s cannot be read\n", name), 0;
    return fclose(file) == 0;
}

/* In every view, from the last bin before the metal to the first one after it. */
static void interpolate(int k)
{
    for (int j = 0, before = -1; j < BINS; j++) {
        if (trace[k][j]) continue;
        for (int i = before + 1; i < j; i++) {
            double part = before < 0 ? 1 : (double)(i - before) / (j - before);
            line[k][i] = (1 - part) * (before < 0 ? 0 : line[k][before]) + part * line[k][j];
        }
        before = j;
    }
}

/* Kak and Slaney, Principles of Computerized Tomographic Imaging, section 3.4.1: equiangular rays. */
static void filter(int k)
{
    for (int j = 0; j < BINS; j++)
        for (int i = 0; i < BINS; i++) {
            double angle = (i - (BINS - 1) / 2.0) * PITCH, apart = sin((j - i) * PITCH);
            double ramp = i == j ? 1 / (8 * PITCH * PITCH) : (i - j) % 2 ? -1 / (2 * PI * PI * apart * apart) : 0;
            filtered[k][j] += PITCH * line[k][i] * DISTANCE * cos(angle) * ramp;
        }
}

static double attenuation(double x, double y)
{
    double sum = 0;
    for (int k = 0; k < VIEWS; k++) {
        double beta = 2 * PI * k / VIEWS, a = x * cos(beta) + y * sin(beta), b = DISTANCE + x * sin(beta) - y * cos(beta);
        double bin = atan2(a, b) / PITCH + (BINS - 1) / 2.0;
        int j = (int)floor(bin);
        if (j < 0 || j >= BINS - 1) continue;
        sum += ((j + 1 - bin) * filtered[k][j] + (bin - j) * filtered[k][j + 1]) / (a * a + b * b);
    }
    return sum * 2 * PI / VIEWS;
}

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: li scans/test/CASE images/CASE.raw\n"), 2;
    if (!load(argv[1], "sinogram_line_integral", line, sizeof line)) return 1;
    if (!load(argv[1], "metal_trace", trace, sizeof trace)) return 1;
    for (int k = 0; k < VIEWS; k++) {
        interpolate(k);
        filter(k);
    }
    for (int row = 0; row < SIZE; row++)
        for (int column = 0; column < SIZE; column++) {
            double x = (column - (SIZE - 1) / 2.0) * PIXEL, y = ((SIZE - 1) / 2.0 - row) * PIXEL;
            image[row][column] = 1000 * (attenuation(x, y) / WATER - 1);
        }
    FILE *out = fopen(argv[2], "wb");
    return !out || fwrite(image, 1, sizeof image, out) != sizeof image || fclose(out);
}
