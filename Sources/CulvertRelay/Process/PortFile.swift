internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// Which port each forward of a tunnel has (`--port-file`), for the program that started it: a line a forward, with its
/// port and what was typed. Those of `-L` and `-D` come first, then those of `-R`; `-` stands for the port of one that does
/// not stand, or has none. One of `-R` keeps its port here while its link is made again, where it asks for that port first.
///
/// The file is there once the forwards stand, and follows what becomes of them; one that is left from before is taken away
/// first, and it is gone with the tunnel.
struct PortFile {
    private let path: String
    /// nil: it was cancelled.
    private var direct: [String?]
    private var reverse: [String?]
    private var directPorts: [DirectID: UInt16] = [:]
    private var reversePorts: [ReverseID: UInt16] = [:]
    /// From the first time on it is written with every change.
    private var isWritten = false

    /// `path` is one that can be written.
    init(path: String, _ plan: TunnelPlan) {
        self.path = path
        direct = plan.forwards.map(\.text)
        reverse = plan.reverse.map(\.text)
    }

    var text: String {
        func line(_ port: UInt16?, _ text: String) -> String { "\(port.map { "\($0)" } ?? "-") \(PeerText(text))\n" }
        let here = direct.enumerated().compactMap { index, text in
            text.map { line(directPorts[DirectID(index: index)], $0) }
        }
        let there = reverse.enumerated().compactMap { index, text in
            text.map { line(reversePorts[ReverseID(index: index)], $0) }
        }
        return (here + there).joined()
    }

    /// A forward that was added, or is added again.
    mutating func add(_ name: ForwardID, _ forwards: TunnelForwards) {
        switch name {
        case .direct(let forward):
            while direct.count <= forward.index { direct.append(nil) }
            direct[forward.index] = forwards.direct[forward].text
        case .reverse(let forward):
            while reverse.count <= forward.index { reverse.append(nil) }
            reverse[forward.index] = forwards.reverse[forward].text
        }
    }

    mutating func remove(_ name: ForwardID) {
        switch name {
        case .direct(let forward): (direct[forward.index], directPorts[forward]) = (nil, nil)
        case .reverse(let forward): (reverse[forward.index], reversePorts[forward]) = (nil, nil)
        }
    }

    /// After a change, once it is written at all.
    func follow(_ journal: Journal) {
        guard isWritten else { return }
        replace(journal)
    }

    mutating func take(_ news: PoolNews, _ journal: Journal) {
        let before = text
        switch news {
        case .listening(let forward, let address) where !address.isUnix: directPorts[forward] = address.port
        // A socket's path has no port.
        case .reverseStands(let forward, let port): reversePorts[forward] = port == 0 ? nil : port
        case .reverseFailed(let forward, _): reversePorts[forward] = nil
        default: return
        }
        if isWritten, text != before { write(journal) }
    }

    func remove() { WholeFile.remove(path) }

    mutating func write(_ journal: Journal) {
        isWritten = true
        replace(journal)
    }

    private func replace(_ journal: Journal) {
        do throws(IOError) { try WholeFile.replace(path, with: text) } catch {
            journal.error("--port-file \(path): \(errorText(error.number))")
        }
    }
}
