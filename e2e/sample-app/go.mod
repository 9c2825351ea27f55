module tremplin.dev/sample-app

go 1.26
