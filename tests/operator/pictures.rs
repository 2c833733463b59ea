//! Pictures of curves: what Prometheus answered, as SVG.

use std::fmt::Write as _;

use serde_json::Value;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;

/// Room for the title, the values, the legend and the seconds.
const TOP: f64 = 30.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 190.0;
const BOTTOM: f64 = 24.0;

/// Told apart by people who see few colours.
const COLOURS: [&str; 10] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f",
    "#8c510a", "#762a83",
];

/// A curve: its name, and its points as second and value.
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// The curves in the result of a range query, without those that stay at nothing.
fn curves(result: &Value, begin: f64) -> Vec<Curve> {
    let series = result.as_array().cloned().unwrap_or_default();
    let curves = series.into_iter().map(|series| {
        let labels = series["metric"].as_object().cloned().unwrap_or_default();
        let words: Vec<_> = labels
            .iter()
            // The namespace of a test says nothing.
            .map(|(_, value)| {
                value
                    .as_str()
                    .unwrap()
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        let points = series["values"].as_array().cloned().unwrap_or_default();
        let points = points.into_iter().filter_map(|point| {
            let value: f64 = point[1].as_str()?.parse().ok()?;
            value
                .is_finite()
                .then_some((point[0].as_f64()? - begin, value))
        });
        Curve {
            name: words.join(" "),
            points: points.collect(),
        }
    });
    curves
        .filter(|curve| curve.points.iter().any(|(_, value)| *value != 0.0))
        .collect()
}

/// A picture of the result of a range query over `seconds` from `begin` on.
pub fn picture(title: &str, unit: &str, result: &Value, begin: f64, seconds: f64) -> String {
    let curves = curves(result, begin);
    let values = curves.iter().flat_map(|curve| curve.points.iter());
    let most = values
        .map(|(_, value)| *value)
        .fold(0.0, f64::max)
        .max(1e-9)
        * 1.1;
    let x = |second: f64| LEFT + second / seconds * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"8\" y=\"18\" font-size=\"13\">{title}</text>\n"
    );
    for part in 0..=4 {
        let value = most * f64::from(part) / 4.0;
        let (at, end) = (y(value), WIDTH - RIGHT);
        let shown = format!("{value:.*}", if most < 10.0 { 2 } else { 0 });
        writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{end}\" stroke=\"#dddddd\"/>"
        )
        .unwrap();
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{shown}{unit}</text>",
            LEFT - 4.0,
            at + 4.0
        )
        .unwrap();
    }
    for part in 0..=4 {
        let second = seconds * f64::from(part) / 4.0;
        let (at, bottom) = (x(second), HEIGHT - 8.0);
        writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{bottom}\" text-anchor=\"middle\">{second:.0} s</text>"
        )
        .unwrap();
    }
    for (place, curve) in curves.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let points: Vec<_> = curve
            .points
            .iter()
            .map(|(second, value)| format!("{:.1},{:.1}", x(*second), y(*value)))
            .collect();
        let points = points.join(" ");
        writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{points}\"/>"
        )
        .unwrap();
        let (left, at) = (WIDTH - RIGHT + 12.0, TOP + 6.0 + 16.0 * place as f64);
        writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>",
            at - 9.0
        )
        .unwrap();
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{at}\">{}</text>",
            left + 15.0,
            curve.name
        )
        .unwrap();
    }
    svg.push_str("</svg>\n");
    svg
}
