internal import CulvertSSH

/// What the files of a user say of the keys that a server calls its own, and what follows. The rules are ssh's (UpdateHostKeys
/// in ssh_config(5), clientloop.c): a file that says more of the host than ssh itself writes is left alone.
struct HostKeyFindings {
    /// Why the files are left as they are; the words follow "because".
    enum Obstacle: Equatable {
        /// A pattern, a list of more than a name and its address, or a marker.
        case complexLine(KnownHosts.Place)
        case otherName(KnownHosts.Place)
        case oldKeyElsewhere(KnownHosts.Place)

        var why: String {
            switch self {
            case .complexLine(let place): "\(place) says more of the host than one key"
            case .otherName(let place): "\(place) has one of its keys under another name"
            case .oldKeyElsewhere(let place): "\(place) has a key that it has no more under another name"
            }
        }
    }

    let offered: [PublicKey]
    /// Of all that the server says it has, also what is not to be learned: nothing of that is taken out.
    let named: [PublicKey]
    /// What the files have for the host.
    let present: Set<PublicKey>
    /// Of the offered keys those that no file has for the host.
    let new: [PublicKey]
    /// Keys that the files have for the host, and that it has no more.
    let old: [PublicKey]
    let obstacle: Obstacle?

    /// - Parameters:
    ///   - known: the lines that may be about the host.
    ///   - holders: reads the lines that have one of the keys; asked only where something is to be changed.
    init(
        offered: [PublicKey], named: [PublicKey], name: String, known: KnownHosts,
        holders: ([PublicKey]) throws(SSHError) -> KnownHosts
    ) throws(SSHError) {
        self.offered = offered
        self.named = named
        let entries = known.entries.filter { $0.hosts.matches(name) }
        let plain = entries.filter { $0.marker == .none }
        let present = Set(plain.map(\.key))
        self.present = present
        new = offered.filter { !present.contains($0) }
        var old: [PublicKey] = []
        for entry in plain where !named.contains(entry.key) && !old.contains(entry.key) { old.append(entry.key) }
        self.old = old
        guard !new.isEmpty || !old.isEmpty else {
            obstacle = nil
            return
        }
        if let entry = entries.first(where: { $0.marker != .none || $0.hosts.isComplex }) {
            obstacle = .complexLine(entry.place)
            return
        }
        let elsewhere = try holders(offered + old).entries.filter { !$0.hosts.matches(name) }
        if let entry = elsewhere.first(where: { offered.contains($0.key) }) {
            obstacle = .otherName(entry.place)
        } else if let entry = elsewhere.first {
            obstacle = .oldKeyElsewhere(entry.place)
        } else {
            obstacle = nil
        }
    }

    /// What they have once they are written.
    var updated: Set<PublicKey> { present.subtracting(old).union(new) }

    /// The files say what the server says.
    var isCurrent: Bool { new.isEmpty && old.isEmpty }
}

extension HostList {
    /// Not of the form that ssh writes: a name, or a name and an address.
    fileprivate var isComplex: Bool {
        switch self {
        case .hashed: false
        case .patterns(let list):
            list.contains(UInt8(ascii: "*")) || list.contains(UInt8(ascii: "?"))
                || list.count(where: { $0 == UInt8(ascii: ",") }) > 1
        }
    }
}
