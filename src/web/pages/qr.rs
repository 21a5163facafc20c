//! A QR code as the path of an SVG, so that it prints sharp at any size.

use std::fmt::Write;

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code, without which readers do not find it.
const QUIET: usize = 4;

pub(super) struct Picture {
    /// Modules on each side, the quiet zone included.
    pub size: usize,
    /// `d` of one path: a rectangle for each run of dark modules.
    pub path: String,
}

impl Picture {
    /// `None` for a text too long for any code.
    pub fn of(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (row, colors) in code.to_colors().chunks(width).enumerate() {
            let mut column = 0;
            for run in colors.chunk_by(|one, next| one == next) {
                if run[0] == Color::Dark {
                    // Writing to a String cannot fail.
                    let _ = write!(path, "M{} {}h{}v1h-{}z", column + QUIET, row + QUIET, run.len(), run.len());
                }
                column += run.len();
            }
        }
        Some(Self { size: width + 2 * QUIET, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_darkens_exactly_the_modules_of_the_code() {
        let text = "tel:+79288328088";
        let picture = Picture::of(text).unwrap();
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let mut dark = std::collections::HashSet::new();
        for run in picture.path.split('M').skip(1) {
            let numbers: Vec<usize> =
                run.split(['h', 'v', ' ', 'z', '-']).filter_map(|number| number.parse().ok()).collect();
            let [column, row, length, 1, back] = numbers[..] else { panic!("{run}") };
            assert_eq!(length, back);
            dark.extend((column..column + length).map(|column| (column - QUIET, row - QUIET)));
        }
        let width = code.width();
        assert_eq!(picture.size, width + 2 * QUIET);
        for (at, color) in code.to_colors().into_iter().enumerate() {
            assert_eq!(dark.contains(&(at % width, at / width)), color == Color::Dark, "{at}");
        }
    }

    #[test]
    fn what_fits_no_code_has_no_picture() {
        assert!(Picture::of(&"9".repeat(10_000)).is_none());
    }
}
