//! The picture of a message: its loudness over time, as a drawing made by the server.

use std::fmt::Write;

/// Bars of the picture: what still reads as single bars at 360 px.
const BARS: usize = 60;
/// Height of the picture in its own units; a bar is two units wide and takes four.
const HEIGHT: usize = 32;

/// Peaks (0 to 255, any number of them) as the content of an `<svg>` path in a box of [`view_box`]. Silence is a thin
/// line, so that it does not look like a picture that failed to load.
pub(super) fn path(peaks: &[u8]) -> String {
    let mut path = String::with_capacity(BARS * 16);
    for bar in 0..BARS {
        let (from, to) = (bar * peaks.len() / BARS, ((bar + 1) * peaks.len()).div_ceil(BARS));
        let loudest = peaks.get(from..to).and_then(|part| part.iter().max()).copied().unwrap_or(0);
        let height = (usize::from(loudest) * HEIGHT / 255).max(2);
        let _ = write!(path, "M{} {}v{height}h2v-{height}z", bar * 4 + 1, (HEIGHT - height) / 2);
    }
    path
}

/// The `viewBox` that fits [`path`].
pub(super) fn view_box() -> String {
    format!("0 0 {} {HEIGHT}", BARS * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heights(peaks: &[u8]) -> Vec<usize> {
        path(peaks).split('v').skip(1).step_by(2).map(|part| part.split('h').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn the_loudest_peak_reaches_the_edge_and_silence_is_a_line() {
        let mut peaks = [0; 200];
        peaks[199] = 255;
        let heights = heights(&peaks);
        assert_eq!(heights.len(), BARS);
        assert_eq!((heights[0], heights[BARS - 1]), (2, HEIGHT));
    }

    #[test]
    fn any_number_of_peaks_makes_a_picture() {
        for count in [0, 1, 2, 59, 60, 61, 199, 1000] {
            assert_eq!(heights(&vec![255; count]).len(), BARS, "{count}");
        }
        assert!(heights(&[255]).iter().all(|height| *height == HEIGHT));
    }

    #[test]
    fn a_short_click_is_not_lost_between_two_bars() {
        for at in 0..200 {
            let mut peaks = [0; 200];
            peaks[at] = 255;
            assert!(heights(&peaks).contains(&HEIGHT), "{at}");
        }
    }
}
