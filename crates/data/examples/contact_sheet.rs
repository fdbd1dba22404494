//! Writes a contact sheet of rendered signs, a row a class: `contact_sheet FILE.png [IMAGES A CLASS] [SIZE] [ZOOM] [SEED]`.

use std::error::Error;

use bezoar_core::{Context, Plugin};
use bezoar_data::Signs;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("say which PNG file to write")?;
    let numbers = arguments.map(|text| text.parse()).collect::<Result<Vec<usize>, _>>()?;
    let number = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let (columns, size, zoom, seed) = (number(0, 12), number(1, 32), number(2, 2), number(3, 0));

    let signs = Signs { classes: None, train: columns, validation: 0, test: 1, size };
    let set = signs.build()?.load(&Context::quiet(seed as u64))?.train;
    let cell = (size * zoom) as u32;
    let mut sheet = image::RgbImage::new(columns as u32 * cell, set.classes().len() as u32 * cell);
    for row in 0..set.len() {
        let image = set.image(row)?;
        let (left, top) = ((row % columns) as u32 * cell, (row / columns) as u32 * cell);
        for (x, y) in (0..cell).flat_map(|y| (0..cell).map(move |x| (x, y))) {
            let at = (y as usize / zoom * size + x as usize / zoom) * 3;
            let pixels = image.pixels();
            sheet.put_pixel(left + x, top + y, image::Rgb([pixels[at], pixels[at + 1], pixels[at + 2]]));
        }
    }
    sheet.save(path)?;
    Ok(())
}
