// What holds a pod's namespaces while its containers come and go.
module tremplin/e2e/tools/pause

go 1.26.0
