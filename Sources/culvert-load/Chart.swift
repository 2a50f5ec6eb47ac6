/// A chart of lines, as a part of an SVG drawing.
struct Chart {
    struct Line {
        let name: String
        /// Lines of one colour belong together; a dashed one is told from the other by that.
        let colour: Int
        let isDashed: Bool
        /// In the units of the axes.
        let points: [(x: Double, y: Double)]
    }

    struct Axis {
        let title: String
        let range: ClosedRange<Double>
        let ticks: [(value: Double, label: String)]
        /// From the axis's units to something that grows evenly along it.
        var scaled: (Double) -> Double = { $0 }

        /// 0 to 1 along the axis.
        func place(_ value: Double) -> Double {
            let (low, high) = (scaled(range.lowerBound), scaled(range.upperBound))
            return high > low ? (scaled(value) - low) / (high - low) : 0
        }
    }

    static let width = 980.0
    /// Around the plotted area: for labels and titles, and at its right for the legend.
    private static let (left, right, top, bottom) = (90.0, 220.0, 40.0, 58.0)
    private static let legendStep = 20.0
    /// Told apart by people who see colours differently, too (Okabe and Ito's).
    private static let colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]

    let title: String
    let x: Axis
    let y: Axis
    let lines: [Line]

    /// The legend has room for every line.
    var height: Double { Self.top + Self.bottom + max(210, Self.legendStep * Double(lines.count)) }

    /// Drawn with its upper edge at `offset`.
    func drawn(at offset: Double) -> String {
        let (innerWidth, innerHeight) = (Self.width - Self.left - Self.right, height - Self.top - Self.bottom)
        func across(_ value: Double) -> String { Self.number(Self.left + x.place(value) * innerWidth) }
        func down(_ value: Double) -> String { Self.number(Self.top + (1 - y.place(value)) * innerHeight) }
        let (leftEdge, rightEdge) = (Self.number(Self.left), Self.number(Self.left + innerWidth))
        let (topEdge, bottomEdge) = (Self.number(Self.top), Self.number(Self.top + innerHeight))
        var parts = ["<g transform=\"translate(0 \(Self.number(offset)))\">"]
        parts.append(Self.text(title, Self.number(Self.left), "22", "class=\"title\""))
        for tick in y.ticks {
            let place = down(tick.value)
            parts.append("<path class=\"grid\" d=\"M\(leftEdge) \(place)H\(rightEdge)\"/>")
            parts.append(Self.text(tick.label, Self.number(Self.left - 8), place, "text-anchor=\"end\" dy=\"4\""))
        }
        for tick in x.ticks {
            let place = across(tick.value)
            parts.append("<path class=\"grid\" d=\"M\(place) \(topEdge)V\(bottomEdge)\"/>")
            parts.append(
                Self.text(tick.label, place, Self.number(height - Self.bottom + 18), "text-anchor=\"middle\""))
        }
        parts.append("<path class=\"axis\" d=\"M\(leftEdge) \(topEdge)V\(bottomEdge)H\(rightEdge)\"/>")
        parts.append(
            Self.text(
                x.title, Self.number(Self.left + innerWidth / 2), Self.number(height - 16),
                "text-anchor=\"middle\""))
        let middle = Self.number(Self.top + innerHeight / 2)
        parts.append(
            Self.text(y.title, "20", middle, "text-anchor=\"middle\" transform=\"rotate(-90 20 \(middle))\""))
        for (number, line) in lines.enumerated() {
            let colour = Self.colours[line.colour % Self.colours.count]
            let look = "class=\"line\" stroke=\"\(colour)\"" + (line.isDashed ? " stroke-dasharray=\"5 3\"" : "")
            let points = line.points.map { across($0.x) + "," + down($0.y) }.joined(separator: " ")
            parts.append(
                "<polyline \(look) points=\"\(points)\"><title>\(Self.escaped(line.name))</title></polyline>")
            let place = Self.top + 8 + Double(number) * Self.legendStep
            let start = Self.left + innerWidth + 24
            parts.append("<path \(look) d=\"M\(Self.number(start)) \(Self.number(place))h24\"/>")
            parts.append(Self.text(line.name, Self.number(start + 30), Self.number(place + 4), ""))
        }
        return (parts + ["</g>"]).joined(separator: "\n")
    }

    private static func text(_ words: String, _ x: String, _ y: String, _ attributes: String) -> String {
        "<text x=\"\(x)\" y=\"\(y)\"\(attributes.isEmpty ? "" : " " + attributes)>\(escaped(words))</text>"
    }

    static func escaped(_ text: String) -> String {
        text.map { character in
            switch character {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            case "\"": "&quot;"
            default: String(character)
            }
        }.joined()
    }

    static func number(_ value: Double) -> String {
        precondition(value.isFinite, "a drawing has finite places only")
        return Amounts.decimal(value, 1)
    }
}

extension Chart.Axis {
    /// From 0 to a round number that holds `most`, with a few ticks at round numbers.
    static func linear(_ title: String, upTo most: Double) -> Chart.Axis {
        let step = roundStep(max(most, 1e-9) / 5)
        let count = max(1, Int((most / step).rounded(.up)))
        let digits = step >= 1 ? 0 : min(9, Int((-SizeDistribution.logarithm(step) / 2.302_585 - 1e-3).rounded(.up)))
        return Chart.Axis(
            title: title, range: 0...(step * Double(count)),
            ticks: (0...count).map { (step * Double($0), Amounts.decimal(step * Double($0), digits)) })
    }

    /// 1, 2 or 5 times a power of ten, not less than `least`.
    private static func roundStep(_ least: Double) -> Double {
        var power = 1e-9
        while power * 10 <= least { power *= 10 }
        return [1.0, 2, 5, 10].map { $0 * power }.first { $0 >= least * 0.999_999 } ?? power * 10
    }

    /// Latencies in nanoseconds, each power of ten as long as the others.
    static func latency(_ title: String, _ least: Double, _ most: Double) -> Chart.Axis {
        var low = 1.0
        while low * 10 <= least { low *= 10 }
        var ticks: [(value: Double, label: String)] = []
        var power = low
        while true {
            for step in [1.0, 2, 5] {
                ticks.append((power * step, short(power * step)))
                if power * step >= most && ticks.count > 1 {
                    return Chart.Axis(
                        title: title, range: low...(power * step), ticks: ticks, scaled: SizeDistribution.logarithm)
                }
            }
            power *= 10
        }
    }

    private static func short(_ nanoseconds: Double) -> String {
        for (unit, name) in [(1e9, "s"), (1e6, "ms"), (1e3, "µs")] where nanoseconds >= unit {
            return Amounts.decimal(nanoseconds / unit, 0) + " " + name
        }
        return Amounts.decimal(nanoseconds, 0) + " ns"
    }

    /// Percentiles below 100: each nine more is as long as the one before.
    static func nines(_ title: String, upTo most: Double) -> Chart.Axis {
        let nines = [0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999, 99.99999]
        let last = nines.first { $0 >= most } ?? most
        return Chart.Axis(
            title: title, range: 0...last, ticks: nines.filter { $0 <= last }.map { ($0, PartReport.name($0) + " %") },
            scaled: { -SizeDistribution.logarithm(1 - $0 / 100) })
    }
}
