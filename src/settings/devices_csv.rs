//! `devices.csv`: one device per line under a header with any subset of the device keys.

use super::entries::{DEADLINE_KEYS, DEVICE_KEYS, Entry, SHARED_KEYS};
use super::fault::Fault;
use super::nearest::nearest;
use super::raw::{Key, Lines, Located, Place, Raw, Table};
use std::sync::Arc;

/// Reads the text of the file. Faults of the header are added to `faults`, those of one line stay
/// in its entry. No message shows a cell.
pub(crate) fn read(file: &str, text: &str, faults: &mut Vec<Fault>) -> Vec<Entry> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = without_comments(text);
    let file: Arc<str> = file.into();
    let lines = Lines::of(&text);
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(separator(&text))
        .from_reader(text.as_bytes())
        .into_records();
    let mut header: Option<Vec<String>> = None;
    let mut entries = Vec::new();
    while let Some(Ok(record)) = rows.next() {
        let line = record
            .position()
            .map(|position| lines.at(first_byte(&text, position.byte())));
        let place = Place {
            file: Arc::clone(&file),
            line,
        };
        match &header {
            None => match columns(&record, &place) {
                Ok(columns) => header = Some(columns),
                Err(more) => {
                    faults.extend(more);
                    return entries;
                }
            },
            Some(columns) => entries.extend(entry(columns, &record, &place, faults)),
        }
    }
    if header.is_none() {
        let message = "expected a header such as `name,host,group`";
        faults.push(Fault::error(&Place { file, line: None }, "", message));
    }
    entries
}

/// Empties lines that begin with `#` or `;`, so that the other lines keep their numbers.
fn without_comments(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            if line.trim_start().starts_with(['#', ';']) {
                "\n"
            } else {
                line
            }
        })
        .collect()
}

/// `;` where the header has no comma, as spreadsheets write it in some countries.
fn separator(text: &str) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty());
    match header {
        Some(header) if header.contains(';') && !header.contains(',') => b';',
        _ => b',',
    }
}

/// The first byte of a record: line ends before it still count to its position.
fn first_byte(text: &str, from: u64) -> usize {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let rest = text.get(from..).unwrap_or_default();
    let skipped = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
    from.saturating_add(skipped)
}

fn known() -> impl Iterator<Item = String> {
    let plain = ["name"].into_iter().chain(DEVICE_KEYS).chain(SHARED_KEYS);
    let plain = plain.filter(|key| *key != "deadlines").map(str::to_owned);
    plain.chain(DEADLINE_KEYS.map(|key| format!("deadlines.{key}")))
}

fn columns(header: &csv::StringRecord, place: &Place) -> Result<Vec<String>, Vec<Fault>> {
    let known: Vec<_> = known().collect();
    let mut columns: Vec<String> = Vec::new();
    let mut faults = Vec::new();
    for (index, cell) in header.iter().enumerate() {
        let number = index + 1;
        let name = cell.to_lowercase();
        let message = if columns.contains(&name) {
            format!("column {number} of the header is there twice")
        } else if known.contains(&name) {
            columns.push(name);
            continue;
        } else {
            // The cell is not shown: where the header is missing it may be a secret.
            let near = nearest(&name, known.iter().map(String::as_str))
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let all = known.join(", ");
            format!("column {number} of the header is no device key{near}; the keys are: {all}")
        };
        columns.push(name);
        faults.push(Fault::error(place, "", message));
    }
    if !columns.iter().any(|column| column == "name") {
        let message = "the header has no column `name`";
        faults.push(Fault::error(place, "", message));
    }
    if faults.is_empty() {
        Ok(columns)
    } else {
        Err(faults)
    }
}

/// One device; `None` for a line without a name, which is a fault of the file.
fn entry(
    columns: &[String],
    record: &csv::StringRecord,
    place: &Place,
    faults: &mut Vec<Fault>,
) -> Option<Entry> {
    let cells = || columns.iter().map(String::as_str).zip(record.iter());
    let name = cells()
        .find(|(column, cell)| *column == "name" && !cell.is_empty())
        .map(|(_, cell)| cell);
    let Some(name) = name else {
        if record.iter().any(|cell| !cell.is_empty()) {
            faults.push(Fault::error(place, "", "this line has no name"));
        }
        return None;
    };
    let table = Table(
        cells()
            .filter(|(column, cell)| *column != "name" && !cell.is_empty())
            .map(|(column, cell)| pair(column, cell, place))
            .collect(),
    );
    let mut entry = Entry::read(name, place.clone(), &table);
    let extra = record.iter().skip(columns.len());
    if extra.into_iter().any(|cell| !cell.is_empty()) {
        let message = format!(
            "this line has {} cells and the header {}; a cell with the separator in it is written \
             in double quotes",
            record.len(),
            columns.len()
        );
        let key = format!("devices.{}", entry.name);
        entry.faults.push(Fault::error(place, &key, message));
    }
    Some(entry)
}

/// A cell as the value that TOML would hold: everything is text in CSV.
fn pair(column: &str, cell: &str, place: &Place) -> (Key, Located) {
    let key = |name: &str| Key {
        name: name.to_owned(),
        place: place.clone(),
    };
    let located = |value| Located {
        place: place.clone(),
        value,
    };
    if let Some((section, inner)) = column.split_once('.') {
        let table = Table(vec![(key(inner), located(Raw::text(cell)))]);
        return (key(section), located(Raw::Table(table)));
    }
    let value = match column {
        "port" | "attempts" => cell.parse().ok().map(Raw::Integer),
        // Names between blanks.
        "limits" | "credentials" => Some(Raw::List(
            cell.split_whitespace()
                .map(|name| located(Raw::text(name)))
                .collect(),
        )),
        "view_full" | "strict_identity" => cell.to_lowercase().parse().ok().map(Raw::Boolean),
        _ => None,
    };
    (
        key(column),
        located(value.unwrap_or_else(|| Raw::text(cell))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn good(text: &str) -> Vec<Entry> {
        let mut faults = Vec::new();
        let entries = read("d.csv", text, &mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        entries
    }

    #[test]
    fn any_order_bom_crlf_comments_and_blank_lines() {
        let text = "\u{feff}# fleet\r\nport,Name,host\r\n; old ones\r\n\r\n\
        22, r1 ,\"192.0.2.1\"\r\n,r2,\r\n";
        let entries = good(text);
        assert_eq!(entries.len(), 2);
        assert_eq!(
            (entries[0].name.as_str(), entries[0].place.line),
            ("r1", Some(5))
        );
        assert_eq!(entries[0].host.as_ref().unwrap().name, "192.0.2.1");
        assert_eq!(entries[0].values.port, Some(22));
        assert_eq!(
            (entries[1].name.as_str(), entries[1].place.line),
            ("r2", Some(6))
        );
        assert!(entries[1].host.is_none() && entries[1].values.port.is_none());
    }

    #[test]
    fn semicolons_separate_where_the_header_has_them() {
        let entries = good("name;deadlines.backup;deadlines.tcp;view_full\nr1;20m;5s;TRUE\n");
        let deadlines = entries[0].values.deadlines.over(Default::default());
        assert_eq!(deadlines.backup, Duration::from_secs(1200));
        assert_eq!(deadlines.tcp, Duration::from_secs(5));
        assert_eq!(
            entries[0].values.view,
            Some(crate::model::device::View::Full)
        );
        assert!(entries[0].faults.is_empty(), "{:?}", entries[0].faults);
    }

    #[test]
    fn a_bad_cell_is_one_devices_fault() {
        let entries = good("name,port\nr1,ssh\nr2,22,extra\nr3,70000\n");
        let told: Vec<_> = entries
            .iter()
            .map(|entry| entry.faults[0].to_string())
            .collect();
        assert_eq!(
            told[0],
            "d.csv:2: devices.r1.port: expected a whole number, without quotes"
        );
        assert!(told[1].contains("3 cells and the header 2"), "{}", told[1]);
        assert_eq!(told[2], "d.csv:4: devices.r3.port: must be 1 to 65535");
    }

    #[test]
    fn a_bad_header_is_everyones_fault_and_shows_no_cell() {
        for (text, told) in [
            ("host\nr1\n", "no column `name`"),
            ("name,grupo\nr1,a\n", "did you mean `group`?"),
            (
                "name,host,name\nr1,a,b\n",
                "column 3 of the header is there twice",
            ),
            (
                "r1,ntc,hunter2\n",
                "column 3 of the header is no device key",
            ),
            ("name,host\n,a\n", "this line has no name"),
            ("# nothing\n", "expected a header"),
        ] {
            let mut faults = Vec::new();
            read("d.csv", text, &mut faults);
            let shown = format!("{faults:?}");
            assert!(shown.contains(told), "{text}: {shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
