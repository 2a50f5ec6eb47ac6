internal import CulvertIO

/// A drawing of a run: throughput over time, and latency by percentile, as one SVG that needs nothing else.
struct Plot {
    private let report: Report
    private let points: [[IntervalRecorder.Point]]

    init(_ report: Report, _ points: [[IntervalRecorder.Point]]) {
        self.report = report
        self.points = points
    }

    var svg: String {
        let charts = [payload, answers, latency].compactMap { $0 }
        let height = Chart.number(Self.top + charts.reduce(0) { $0 + $1.height })
        let width = Chart.number(Chart.width)
        var parts = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(width)\" height=\"\(height)\""
                + " viewBox=\"0 0 \(width) \(height)\">",
            "<metadata>\(Chart.escaped(report.json))</metadata>", Self.style,
            "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>",
            "<text class=\"head\" x=\"20\" y=\"34\">\(Chart.escaped("culvert-load: " + heading))</text>",
        ]
        var offset = Self.top
        for chart in charts {
            parts.append(chart.drawn(at: offset))
            offset += chart.height
        }
        return (parts + ["</svg>", ""]).joined(separator: "\n")
    }

    /// Room for the heading.
    private static let top = 50.0

    private static let style = """
        <style>
        text { font: 12px sans-serif; fill: #222 }
        .head { font-size: 16px }
        .title { font-size: 13px; font-weight: bold }
        .grid { stroke: #e4e4e4; fill: none }
        .axis { stroke: #888; fill: none }
        .line { stroke-width: 1.6; fill: none; stroke-linejoin: round }
        </style>
        """

    private var parts: [LoadRun.PartOutcome] { report.outcome.parts }
    private var heading: String { parts.map(\.part.label).joined(separator: " + ") }

    private func name(_ part: Int, _ words: String? = nil) -> String {
        let label = (report.isMix ? "\(part + 1): " : "") + parts[part].part.label
        return words.map { label + ", " + $0 } ?? label
    }

    /// One line for each part that has any of it; nil when none has.
    private func overTime(
        _ title: String, _ unit: String,
        _ values: [(of: (Workload) -> Bool, words: String?, value: (Figures) -> Double)]
    ) -> Chart? {
        var lines: [Chart.Line] = []
        for part in parts.indices {
            for each in values where each.of(parts[part].part.workload) {
                // What was answered after the end is no throughput.
                let line = points[part].filter { $0.middle < parts[part].result.elapsed.seconds && $0.seconds > 0 }
                    .map { (x: $0.middle, y: each.value($0.figures) / $0.seconds) }
                if line.contains(where: { $0.y > 0 }) {
                    lines.append(
                        Chart.Line(
                            name: name(part, each.words), colour: part, isDashed: each.words == "up", points: line))
                }
            }
        }
        guard !lines.isEmpty else { return nil }
        let ends = lines.flatMap(\.points).reduce((x: 0.0, y: 0.0)) { (max($0.x, $1.x), max($0.y, $1.y)) }
        return Chart(
            title: title, x: .linear("time, s", upTo: ends.x), y: .linear(unit, upTo: ends.y), lines: lines)
    }

    private var payload: Chart? {
        overTime(
            "Payload over time", "Mbit/s",
            [
                ({ _ in true }, "up", { Double($0.bytesUp) * 8e-6 }),
                ({ _ in true }, "down", { Double($0.bytesDown) * 8e-6 }),
            ])
    }

    private var answers: Chart? {
        overTime("Answers over time", "answers a second", [(\.exchanges, nil, { Double($0.answers) })])
    }

    private var latency: Chart? {
        var lines: [Chart.Line] = []
        for part in parts.indices {
            let result = parts[part].result
            for (words, latencies) in [(nil, result.latencies), ("bulk", result.bulkLatencies)]
            where latencies.count > 0 {
                let points = Self.percentiles(latencies.count).compactMap { percent in
                    latencies.percentile(percent).map { (x: percent, y: Double($0)) }
                }
                lines.append(Chart.Line(name: name(part, words), colour: part, isDashed: words != nil, points: points))
            }
        }
        let all = lines.flatMap(\.points)
        guard let least = all.map(\.y).min(), let most = all.map(\.y).max(), let last = all.map(\.x).max() else {
            return nil
        }
        return Chart(
            title: "Latency by percentile", x: .nines("percentile of requests", upTo: last),
            y: .latency("latency", least, most), lines: lines)
    }

    /// Even steps on the scale of nines, as far as so many requests have something to say: to the longest of them.
    static func percentiles(_ count: UInt64) -> [Double] {
        var percentiles: [Double] = []
        var above = 100.0
        while above * Double(count) > 100 && percentiles.count < 200 {
            percentiles.append(100 - above)
            // Sixteen steps a power of ten.
            above /= 1.154_781_984_689_458_2
        }
        return percentiles + [min(99.999_99, 100 - 100 / Double(count))]
    }
}
