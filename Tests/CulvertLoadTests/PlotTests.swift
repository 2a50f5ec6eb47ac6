import Foundation
import FoundationXML
import Testing

@testable import culvert_load

/// An SVG as an XML reader sees it.
private final class Drawing: NSObject, XMLParserDelegate {
    var lines: [(title: String, points: [(x: Double, y: Double)])] = []
    var texts: [String] = []
    var metadata = ""
    var elements: [String: Int] = [:]
    private var path: [String] = []
    private var words = ""

    init?(_ svg: String) {
        super.init()
        let parser = XMLParser(data: Data(svg.utf8))
        parser.delegate = self
        guard parser.parse(), elements["svg"] == 1 else { return nil }
    }

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) {
        path.append(name)
        words = ""
        elements[name, default: 0] += 1
        guard name == "polyline" else { return }
        let points = (attributes["points"] ?? "").split(separator: " ").map { point in
            let numbers = point.split(separator: ",").map { Double($0) ?? .nan }
            return (x: numbers[0], y: numbers[1])
        }
        lines.append((title: "", points: points))
    }

    func parser(_ parser: XMLParser, foundCharacters text: String) { words += text }

    func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
        switch name {
        case "title": lines[lines.count - 1].title = words
        case "text": texts.append(words)
        case "metadata": metadata = words
        default: break
        }
        words = ""
        path.removeLast()
    }
}

@Suite(.serialized) struct PlotTests {
    @Test("a drawing is well-formed XML, stands by itself, and holds every interval and every percentile")
    func program() throws {
        let server = try LoadServer(["--load", "0"])
        let path = NSTemporaryDirectory() + "culvert-load-\(UUID().uuidString).svg"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let (status, json) = try LoadProgram.figures([
            "mix", server.target, "--part", "request --rate 500", "--part", "stream --direction both", "--duration",
            "1s",
            "--warmup", "0", "--plot", path,
        ])
        #expect(status == 0)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(!text.contains("href") && !text.contains("url("), "nothing is fetched")
        let drawing = try #require(Drawing(text))
        #expect(
            drawing.lines.map(\.title) == [
                "1: request, up", "1: request, down", "2: stream both, up", "2: stream both, down", "1: request",
                "1: request",
            ])
        for line in drawing.lines.prefix(5) { #expect(line.points.count == 10, "ten of 100 ms: \(line.title)") }
        for line in drawing.lines {
            #expect(zip(line.points, line.points.dropFirst()).allSatisfy { $0.x < $1.x }, "\(line.title)")
            #expect(line.points.allSatisfy { (0...980).contains($0.x) && (0...400).contains($0.y) }, "\(line.title)")
        }
        let latency = try #require(drawing.lines.last).points
        #expect(latency.count > 30 && zip(latency, latency.dropFirst()).allSatisfy { $0.y >= $1.y }, "it only grows")
        for label in ["time, s", "Mbit/s", "answers a second", "latency", "percentile of requests", "99 %"] {
            #expect(drawing.texts.contains(label), "\(label)")
        }
        #expect(drawing.texts.contains { $0.hasSuffix(" ms") || $0.hasSuffix(" µs") })
        let told = try JSONSerialization.jsonObject(with: Data(drawing.metadata.utf8)) as? [String: Any]
        #expect(told?.number("measured_s") == json.number("measured_s"), "the figures are in it, too")
    }

    @Test("a value stands where its axis says")
    func places() throws {
        let chart = Chart(
            title: "a <&> \"b\"", x: .linear("x", upTo: 10), y: .linear("y", upTo: 100),
            lines: [
                Chart.Line(name: "<one>", colour: 0, isDashed: false, points: [(0, 0), (5, 50), (10, 100)])
            ])
        let drawing = try #require(
            Drawing("<svg xmlns=\"http://www.w3.org/2000/svg\">" + chart.drawn(at: 0) + "</svg>"))
        #expect(drawing.lines[0].title == "<one>" && drawing.texts.contains("a <&> \"b\""))
        let points = drawing.lines[0].points
        #expect(points[1].x - points[0].x == points[2].x - points[1].x && points[2].x > points[0].x)
        #expect(points[0].y - points[1].y == points[1].y - points[2].y && points[0].y > points[2].y)
        for label in ["0", "2", "4", "6", "8", "10", "20", "40", "60", "80", "100"] {
            #expect(drawing.texts.contains(label), "\(label)")
        }
    }

    @Test("axes: round numbers, powers of ten, nines")
    func axes() {
        func labels(_ axis: Chart.Axis) -> [String] { axis.ticks.map(\.label) }
        #expect(labels(.linear("", upTo: 0.43)) == ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"])
        #expect(labels(.linear("", upTo: 0)).count > 1)
        #expect(labels(.linear("", upTo: 9_300)) == ["0", "2000", "4000", "6000", "8000", "10000"])
        #expect(labels(.latency("", 30_000, 1_500_000)).first == "10 µs")
        #expect(labels(.latency("", 30_000, 1_500_000)).last == "2 ms")
        #expect(labels(.latency("", 1, 1)).count == 2)
        #expect(labels(.nines("", upTo: 99.7)) == ["0 %", "50 %", "90 %", "99 %", "99.9 %"])
        let nines = Chart.Axis.nines("", upTo: 99.99)
        #expect(abs(nines.place(99) - 0.5) < 1e-9 && abs(nines.place(90) - 0.25) < 1e-9)
        let latency = Chart.Axis.latency("", 1e3, 9e5)
        #expect(latency.range == 1e3...1e6 && abs(latency.place(1e4) - 1.0 / 3) < 1e-9)
    }

    @Test(
        "percentiles as far as the number of requests has something to say", arguments: [1, 2, 100, 12_345, 10_000_000])
    func percentiles(_ count: UInt64) {
        let percentiles = Plot.percentiles(count)
        #expect(percentiles.first == 0 && zip(percentiles, percentiles.dropFirst()).allSatisfy { $0 < $1 })
        #expect(percentiles.allSatisfy { (0..<100).contains($0) })
        #expect(abs((percentiles.last ?? 0) - (100 - 100 / Double(count))) < 1e-5)
    }
}

/// What a person sees while a run goes on.
@Suite struct ProgressTests {
    @Test("a terminal shows how it goes, and then the report alone")
    func terminal() throws {
        let server = try LoadServer(["--load", "0"])
        let command =
            "stty cols 60; \(LoadProgram.path) mix \(server.target) --part request --part stream --duration 1300ms --warmup 0"
        let (status, output, _) = try LoadProgram.run(["-qec", command, "/dev/null"], program: "/usr/bin/script")
        #expect(status == 0)
        let clear = "\r\u{1B}[K"
        let shown = output.components(separatedBy: clear)
        #expect(shown.count >= 3, "\(output)")
        #expect(shown.dropFirst().first?.contains("1 s  | request  up ") == true, "\(output)")
        #expect(shown.dropFirst().first?.count == 59, "no more than the terminal is wide: \(output)")
        #expect(shown.last?.hasPrefix("workload 1") == true, "the line is gone before the report: \(output)")
    }
}
