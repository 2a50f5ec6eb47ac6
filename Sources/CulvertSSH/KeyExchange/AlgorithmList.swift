internal import CulvertPlan

extension AlgorithmKind {
    /// The list to offer, best first, never empty. `preferred`: moved to the front unless the user gave an order.
    func offer(_ list: AlgorithmList?, preferred: [String] = []) throws(SSHError) -> [String] {
        guard let list else { return AlgorithmList.moved(preferred, standard) }
        do throws(AlgorithmList.Fault) {
            return try list.offer(standard: standard, known: known, preferred: preferred)
        } catch {
            let all = known.joined(separator: ",")
            let option = PeerText(list.place).description + option
            switch error {
            case .unknown(let names):
                let older = names.filter(OlderEngine.names(self).contains)
                let mend =
                    older.isEmpty
                    ? "" : "; --engine libssh2 has \(older == names ? "it" : older.joined(separator: ","))"
                let missing = PeerText(names.joined(separator: ","))
                throw SSHError(
                    .unsupported,
                    "\(option): the native engine has no \(words) \"\(missing)\"; it has \(all)\(mend)")
            case .empty:
                throw SSHError(
                    .unsupported,
                    "\(option)=\(PeerText(list.description)) leaves no \(words); the native engine has \(all)")
            }
        }
    }
}
