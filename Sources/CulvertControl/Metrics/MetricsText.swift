internal import CulvertConfig
internal import CulvertIO
internal import CulvertRelay

/// Reports in Prometheus' text format 0.0.4. No label has a peer's address, so their number is the plan's.
struct MetricsText {
    static let type = "text/plain; version=0.0.4; charset=utf-8"

    private enum Kind: String {
        case counter, gauge, histogram
    }

    private(set) var text = ""

    /// `reports`: nil of a tunnel that has not answered; it is down then.
    init(_ reports: [(name: String, report: TunnelReport?)], _ process: ProcessFigures) {
        let known = reports.compactMap { name, report in report.map { (name, $0) } }
        family("culvert_build_info", .gauge, "What runs.") { add in add([("version", culvertVersion)], 1) }
        family("culvert_tunnel_up", .gauge, "1: every link and every forward stands.") { add in
            for (name, report) in reports { add([("tunnel", name)], report?.isUp == true ? 1 : 0) }
        }
        links(known)
        forwards(known)
        gauge("culvert_held_connections", "Connections that wait for a link.", known) { Double($0.held) }
        gauge("culvert_buffer_bytes", "Bytes of buffers in use.", known) { Double($0.buffers) }
        gauge("culvert_buffer_limit_bytes", "Their ceiling.", known) { Double($0.bufferLimit) }
        figures(process)
    }

    private mutating func links(_ reports: [(String, TunnelReport)]) {
        family("culvert_links", .gauge, "Places of links, by state.") { add in
            for (name, report) in reports {
                var counts = ["up": 0, "silent": 0, "connecting": 0, "waiting": 0, "dormant": 0, "unused": 0]
                for place in report.places { counts[place.state.name, default: 0] += 1 }
                for (state, count) in counts.sorted(by: { $0.key < $1.key }) {
                    add([("tunnel", name), ("state", state)], Double(count))
                }
            }
        }
        counter("culvert_link_connects_total", "Links that have stood.", reports) { $0.places.sum(\.connects) }
        counter("culvert_link_losses_total", "Links that were lost.", reports) { $0.places.sum(\.losses) }
        family("culvert_link_rtt_seconds", .gauge, "Round trip as the kernel smooths it.") { add in
            for (name, report) in reports {
                for link in report.links {
                    guard let place = link.place, !link.isReplaced, let trip = link.roundTrip else { continue }
                    add([("tunnel", name), ("link", "\(place)")], trip.seconds)
                }
            }
        }
        counter("culvert_link_sent_bytes_total", "Bytes of SSH to the server.", reports) { Double($0.carried.sent) }
        counter("culvert_link_received_bytes_total", "Bytes of SSH from the server.", reports) {
            Double($0.carried.received)
        }
        counter("culvert_rekeys_total", "Key exchanges after the first.", reports) { Double($0.carried.keyRenewals) }
    }

    private mutating func forwards(_ reports: [(String, TunnelReport)]) {
        func each(_ add: ([(String, String)], Double) -> Void, _ value: (ForwardReport) -> Double) {
            for (name, report) in reports {
                for forward in report.forwards { add([("tunnel", name), ("forward", forward.text)], value(forward)) }
            }
        }
        family("culvert_forward_up", .gauge, "1: connections may come in.") { add in
            for (name, report) in reports {
                for forward in report.forwards {
                    let isStanding = if case .standing = forward.state { true } else { false }
                    add(
                        [("tunnel", name), ("forward", forward.text), ("kind", forward.kind.rawValue)],
                        isStanding ? 1 : 0)
                }
            }
        }
        family("culvert_forward_connections", .gauge, "Connections that are open.") { add in
            each(add) { Double($0.flows.count) }
        }
        family("culvert_forward_connections_total", .counter, "Connections, by what became of them.") { add in
            for (result, count) in [
                ("opened", \ForwardTally.opened), ("refused", \.refused), ("dropped", \.dropped), ("cut", \.cut),
            ] {
                each({ add($0 + [("result", result)], $1) }, { Double($0.tally[keyPath: count]) })
            }
        }
        family("culvert_forward_sent_bytes_total", .counter, "Payload to the channel.") { add in
            each(add) { Double($0.tally.sent) }
        }
        family("culvert_forward_received_bytes_total", .counter, "Payload from the channel.") { add in
            each(add) { Double($0.tally.received) }
        }
        openings(reports)
    }

    private mutating func openings(_ reports: [(String, TunnelReport)]) {
        let name = "culvert_forward_open_seconds"
        head(name, .histogram, "From a connection's coming until both ends stood.")
        for (tunnel, report) in reports {
            for forward in report.forwards {
                let labels = [("tunnel", tunnel), ("forward", forward.text)]
                let times = forward.tally.opening
                for octave in Self.octaves {
                    let bound = Self.number(OpeningTimes.bound(ofOctave: octave).seconds)
                    sample(name + "_bucket", labels + [("le", bound)], Double(times.count(upToOctave: octave)))
                }
                sample(name + "_bucket", labels + [("le", "+Inf")], Double(times.count))
                sample(name + "_sum", labels, times.sum.seconds)
                sample(name + "_count", labels, Double(times.count))
            }
        }
    }

    /// 1 ms to 33 s.
    private static let octaves = 3...18

    private mutating func figures(_ process: ProcessFigures) {
        for (name, kind, help, value) in [
            ("process_cpu_seconds_total", Kind.counter, "Processor time.", process.processorSeconds),
            ("process_resident_memory_bytes", .gauge, "Memory in use.", process.residentBytes),
            ("process_virtual_memory_bytes", .gauge, "Address space.", process.virtualBytes),
            ("process_open_fds", .gauge, "Open descriptors.", process.openDescriptors),
            ("process_max_fds", .gauge, "How many there may be.", process.mostDescriptors),
            ("process_start_time_seconds", .gauge, "Since 1970.", process.startedAt),
        ] {
            guard let value else { continue }
            family(name, kind, help) { add in add([], value) }
        }
    }

    // MARK: The format

    private mutating func gauge(
        _ name: String, _ help: String, _ reports: [(String, TunnelReport)], _ value: (TunnelReport) -> Double
    ) {
        family(name, .gauge, help) { add in for (tunnel, report) in reports { add([("tunnel", tunnel)], value(report)) }
        }
    }

    private mutating func counter(
        _ name: String, _ help: String, _ reports: [(String, TunnelReport)], _ value: (TunnelReport) -> Double
    ) {
        family(name, .counter, help) { add in
            for (tunnel, report) in reports { add([("tunnel", tunnel)], value(report)) }
        }
    }

    private mutating func family(
        _ name: String, _ kind: Kind, _ help: String, _ fill: (([(String, String)], Double) -> Void) -> Void
    ) {
        head(name, kind, help)
        var samples: [([(String, String)], Double)] = []
        fill { samples.append(($0, $1)) }
        for (labels, value) in samples { sample(name, labels, value) }
    }

    private mutating func head(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    private mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
        let list = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
        text += "\(name)\(list.isEmpty ? "" : "{\(list)}") \(Self.number(value))\n"
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }
}

extension [PlaceReport] {
    fileprivate func sum(_ part: KeyPath<PlaceReport, UInt64>) -> Double {
        reduce(0) { $0 + Double($1[keyPath: part]) }
    }
}
